//! The files of models on this machine: where they come from, and whether they are whole.
//!
//! A [`Source`] says where the files of one part of a model come from. [`Store::fetch`] makes them lie on this machine,
//! verified; [`Store::local`] says what already does, without asking anybody. Look-up order: read-only caches, the
//! writable cache, the network.
//!
//! Correctness rests on four things and on no lock: every writer has a temporary file of its own, what arrives is hashed
//! and compared, a file gets its name by a rename, and the manifest's entry is written last.

mod archive;
mod breaker;
mod bucket;
mod caches;
mod digest;
mod download_lock;
mod embedded;
mod error;
mod evict;
mod extents;
mod fetch;
mod folder;
mod housekeeping;
mod hub;
mod layout;
mod link;
mod manifest;
mod metrics;
mod origin;
mod owner;
mod part;
mod partial;
mod pins;
mod place;
mod preflight;
mod progress;
mod retry;
mod sink;
mod snapshots;
mod source;
mod space;
mod transfer;
mod transport;
mod unpack;
mod verify;
mod web;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

pub use embedded::{EMBEDDED, EmbeddedModel};
pub use error::StoreError;
pub use housekeeping::{CachedCommit, CachedModel, Cleared, Doomed};
pub use link::Link;
pub use pins::CommitPin;
pub use progress::{Phase, Progress};
pub use source::{Source, SourceError};
pub use verify::{FileReport, FileState};

use self::{
    fetch::Busy,
    metrics::Metrics,
    part::{Part, start},
    place::Place,
    progress::Tracker,
    sink::Buffers,
    snapshots::Found,
    transfer::Limits,
    transport::Transport,
};
pub use crate::remote::Secret;
use crate::{
    model::{LoadError, ModelFiles},
    remote::Buckets,
};

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
    pub endpoints: Vec<String>,
    /// Bearer token for gated and private repositories. Only the first endpoint gets it.
    pub token: Option<Secret>,
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
    /// Bytes of disk that a fetch leaves free.
    pub reserve: u64,
}

/// The store. A clone is the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    config: Config,
    buckets: Buckets,
    embedded: &'static [EmbeddedModel],
    metrics: Metrics,
    limits: Limits,
    buffers: Buffers,
    busy: Busy,
    /// Source → what its last fetch failed with, in a word. Locked for a look-up only.
    failures: Mutex<BTreeMap<Source, &'static str>>,
    /// Made when the network is first needed: it reads the certificates of the system, which takes a while and may fail.
    transport: OnceLock<Transport>,
}

/// Which files a part needs, by its name and the listing of its source; `Family::files` in most cases.
pub type Choose<'a> = dyn Fn(&str, &[String]) -> Result<Vec<String>, LoadError> + Sync + 'a;

/// The files of a model, all parts, on this machine.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    pub files: ModelFiles,
    /// Part → where its files came from.
    pub parts: BTreeMap<String, Provenance>,
    /// Of all files together.
    pub bytes: u64,
    /// Keeps housekeeping away from the files, in this process and in others.
    pub hold: Option<Arc<CommitPin>>,
}

/// Where the files of one part came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Provenance {
    /// As it is written.
    pub source: String,
    /// A folder and an embedded model have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub from: FileOrigin,
}

/// Where files were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOrigin {
    /// In this program.
    Embedded,
    /// A folder that is read in place.
    Folder,
    /// A cache that is only read.
    ReadOnly,
    /// The cache that is written.
    Cache,
    /// Fetched just now.
    Network,
}

// === impl Store ===

impl Store {
    /// Creates nothing on disk and asks nobody.
    pub fn new(
        config: Config,
        buckets: Buckets,
        embedded: &'static [EmbeddedModel],
        registry: &prometheus::Registry,
    ) -> Result<Self, StoreError> {
        config.endpoints.iter().try_for_each(|endpoint| check_endpoint(endpoint))?;
        let setup = |error: prometheus::Error| StoreError::Setup(error.to_string());
        let metrics = Metrics::register(registry).map_err(setup)?;
        space::register(registry, &config.cache_dir).map_err(setup)?;
        let limits = Limits::of(&config);
        let (buffers, busy, failures) = (Buffers::default(), Busy::default(), Mutex::default());
        let transport = OnceLock::new();
        Ok(Self(Arc::new(Inner { config, buckets, embedded, metrics, limits, buffers, busy, failures, transport })))
    }

    /// One file of a source, for example `config.json` to find out the family. From disk if it is there, else fetched
    /// like any other; of an archive, with everything else that is in it. Progress goes to `progress`, as by
    /// [`Self::fetch`].
    pub async fn peek(
        &self,
        source: &Source,
        file: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Vec<u8>, StoreError> {
        let path = match source {
            Source::Embedded(name) => {
                let found = self.embedded(name)?.file(file).map(<[u8]>::to_vec);
                return found.ok_or_else(|| no_file(source, file));
            }
            Source::Folder(folder) => folder::file(folder, file)?.path,
            _ => match self.shelved(source, file) {
                Some(found) => found.path,
                None => self.noting(source, self.fetch_one(source, file, progress).await)?,
            },
        };
        sink::blocking(move || std::fs::read(path)).await.map_err(StoreError::Cache)
    }

    /// Makes all parts of a model lie on this machine, verified. `choose` says which files are needed; progress goes to
    /// `progress`, at most some ten times a second. Dropping the future ends the transfer and leaves nothing half.
    pub async fn fetch(
        &self,
        parts: &[(String, Source)],
        choose: &Choose<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Fetched, StoreError> {
        progress(Progress::default());
        let mut steps = Vec::new();
        for (part, source) in parts {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| unfit(source, error));
            steps.push(self.noting(source, self.plan(source, &chosen).await)?);
        }
        let tracker = Tracker::new(start(&steps), progress);
        let mut fetched = Fetched::default();
        for ((part, source), step) in parts.iter().zip(steps) {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| unfit(source, error));
            self.noting(source, self.make_room(source, &step).await)?;
            let carried_out = self.carry_out(source, step, &chosen, &tracker).await;
            let mut carried_out = self.noting(source, carried_out)?;
            let until_then = carried_out.hold.take();
            fetched.add(part, source, carried_out);
            // Before the next part makes room for itself.
            fetched.hold = Some(Arc::new(self.hold(&fetched.files).await?));
            drop(until_then);
        }
        Ok(fetched)
    }

    /// What [`Self::fetch`] would give without the network, if everything is here. Looks at the disk, so it may block
    /// for moments.
    pub fn local(&self, parts: &[(String, Source)], choose: &Choose<'_>) -> Result<Option<Fetched>, StoreError> {
        let mut fetched = Fetched::default();
        for (part, source) in parts {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| unfit(source, error));
            match self.local_part(source, &chosen)? {
                Some(files) => fetched.add(part, source, files),
                None => return Ok(None),
            }
        }
        Ok(Some(fetched))
    }

    /// What the last fetch of a source failed with, as [`StoreError::word`] has it; `None` after one that succeeded.
    pub fn failure(&self, source: &Source) -> Option<&'static str> {
        self.0.failures.lock().get(source).copied()
    }

    fn noting<T>(&self, source: &Source, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let mut failures = self.0.failures.lock();
        match &outcome {
            Ok(_) => failures.remove(source),
            Err(error) => failures.insert(source.clone(), error.word()),
        };
        outcome
    }

    /// Compares everything that is here of a source with its manifest, or with the names of its blobs.
    pub async fn verify(&self, source: &Source) -> Result<Vec<FileReport>, StoreError> {
        match source {
            Source::Embedded(name) => Ok(verify::embedded(self.embedded(name)?)),
            Source::Folder(folder) => verify::folder(folder),
            _ => match Place::of(source) {
                Some(place) => verify::place(self.caches(source), place).await,
                None => Ok(Vec::new()),
            },
        }
    }

    /// As [`Self::verify`], of everything in every cache, each file with the name of its repository.
    pub async fn verify_all(&self) -> Result<Vec<(String, FileReport)>, StoreError> {
        verify::everything(self.every_cache()).await
    }

    fn shelved(&self, source: &Source, file: &str) -> Option<Found> {
        snapshots::single(&self.caches(source), &Place::of(source)?, file)
    }

    fn embedded(&self, name: &str) -> Result<&'static EmbeddedModel, StoreError> {
        let known = || self.0.embedded.iter().map(|model| model.name.to_owned()).collect();
        let found = self.0.embedded.iter().find(|model| model.name == name);
        found.ok_or_else(|| StoreError::NotEmbedded { name: name.to_owned(), known: known() })
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), StoreError> {
    let url = reqwest::Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let wrong =
        || StoreError::Setup(format!("{endpoint:?} is no address of a hub; one looks like https://huggingface.co"));
    url.map(drop).ok_or_else(wrong)
}

fn no_file(source: &Source, file: &str) -> StoreError {
    StoreError::NoFile { source_name: source.to_string(), file: file.to_owned() }
}

fn unfit(source: &Source, error: LoadError) -> StoreError {
    StoreError::Unfit { source_name: source.to_string(), source: error }
}

// === impl Fetched ===

impl Fetched {
    fn add(&mut self, name: &str, source: &Source, part: Part) {
        let provenance = Provenance { source: source.to_string(), commit: part.commit, from: part.from };
        self.parts.insert(name.to_owned(), provenance);
        for (file, location, bytes) in part.files {
            self.files.insert(name, &file, location);
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests;
