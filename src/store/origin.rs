//! What the transfer needs of a place that has files. One exists for the hub, one for buckets, one for the web; what is
//! common to all of them (trying again, resuming, verifying, publishing, locks) is not in here.

use std::ops::Range;

use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};

use super::{StoreError, digest::Checksum};

/// Where the files of one source are, and how they come. Every error is a [`StoreError`] that names the source; those
/// that pass are [`StoreError::Unreachable`], and only they are tried again.
pub(super) trait Origin: Send + Sync {
    /// Who answers, as it reads in the middle of a sentence: `the hub https://huggingface.co`.
    fn host(&self) -> String;

    /// The commit that the source means now: an immutable name of one version, plain enough for a file name. Where a
    /// place has no such thing, a fingerprint of its listing.
    fn commit(&self) -> BoxFuture<'_, Result<String, StoreError>>;

    /// Every file of a commit. Names stay inside their folder, see [`names::stays_inside`](super::names::stays_inside).
    fn list<'a>(&'a self, commit: &'a str) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>>;

    /// What a file should be, where the listing did not say so. Asked once per file that is to be fetched.
    fn checksum<'a>(&'a self, commit: &'a str, file: &'a Listed) -> BoxFuture<'a, Result<Checksum, StoreError>>;

    /// The bytes of a part of a file. Notices, as far as it can, when the file is no longer the one that was listed.
    fn read<'a>(
        &'a self,
        commit: &'a str,
        file: &'a Listed,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<Body, StoreError>>;

    /// The rest of a file from a place on as one stream, over connections of its own; `None` where the place has it only
    /// by [`Self::read`]. Whoever fails at it goes on by that.
    fn stream<'a>(
        &'a self,
        _commit: &'a str,
        _file: &'a Listed,
        _range: Range<u64>,
    ) -> BoxFuture<'a, Result<Option<Body>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// One file of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// `None`: to be asked for.
    pub checksum: Option<Checksum>,
    /// Its name in a storage of chunks, if the place has one.
    pub chunked: Option<String>,
}

/// Bytes that arrive.
pub(super) struct Body {
    /// Where in the file they begin: where the range began, or at 0 if the place knows no ranges.
    pub from: u64,
    /// Whether they end where the range ends; else where the file ends.
    pub ranged: bool,
    pub chunks: BoxStream<'static, Result<Bytes, StoreError>>,
}
