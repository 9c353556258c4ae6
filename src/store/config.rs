//! What the store needs to know.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Source, StoreError};
use crate::remote::{Secret, SecretUrl};

/// What the store needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The hub cache that files are fetched into (`…/hub`), in the hub's own layout.
    pub cache_dir: PathBuf,
    /// Further hub caches that are only read, looked at first.
    pub read_only: Vec<PathBuf>,
    /// Hub caches of other tools, which are only read as well, and need not be there.
    pub other_caches: Vec<PathBuf>,
    /// What is fetched of these sources goes into a cache of its own.
    pub own_caches: BTreeMap<Source, PathBuf>,
    /// Bytes that each cache that is written may take; what was not used for longest makes room.
    pub quota: Option<u64>,
    /// Base address of the hub, and of mirrors that are asked in their order when the one before does not answer or
    /// does not have it.
    pub endpoints: Vec<SecretUrl>,
    /// Bearer token for gated and private repositories. Only the first endpoint gets it.
    pub token: Option<Secret>,
    /// Licences that ask for more than most, and that who runs the server agrees to.
    pub accepted_licences: Vec<String>,
    /// Never touch the network.
    pub offline: bool,
    /// A transfer without a byte for so long is broken off and resumed.
    pub idle_timeout: std::time::Duration,
    /// A connection that brings fewer bytes per second than this, over the idle time-out, is broken off and resumed.
    pub min_rate: u64,
    /// Tries per range of a file, the first included.
    pub attempts: u32,
    /// Connections that bring files at once, all of them together.
    pub connections: usize,
    /// Whether files that the hub keeps as chunks come as such.
    pub xet: bool,
    /// Bytes of disk for chunks that were fetched, so that a revision that shares them with another needs only the rest.
    /// 0: none are kept.
    pub xet_cache: u64,
    /// Bytes of disk that a fetch leaves free.
    pub reserve: u64,
    /// Whether what models compute of their files at each load is kept beside them.
    pub keep_derived: bool,
    pub verify: Verify,
}

/// When files are held against their checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// When they are fetched.
    #[default]
    Fetch,
    /// Before each load as well.
    Load,
}

// === impl Config ===

impl Config {
    /// Refuses addresses that nobody could be asked at.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.endpoints.iter().try_for_each(check_endpoint)
    }
}

fn check_endpoint(endpoint: &SecretUrl) -> Result<(), StoreError> {
    let url = reqwest::Url::parse(endpoint.expose()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let wrong =
        || StoreError::Setup(format!("{endpoint:?} is no address of a hub; one looks like https://huggingface.co"));
    url.map(drop).ok_or_else(wrong)
}
