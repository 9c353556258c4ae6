//! Objects of a bucket as a place that has files: everything below a prefix, or one object.
//!
//! A bucket knows no versions of the whole, so that the commit is a fingerprint of the listing, and it tells no checksum
//! that could be compared. What is known of a file is its size and its ETag: every range has to come with the same.

use std::ops::Range;

use futures::{FutureExt, StreamExt, future::BoxFuture};

use super::{
    Link, StoreError,
    digest::Checksum,
    names::{fingerprint, stays_inside, version},
    origin::{Body, Listed, Origin},
};
use crate::remote::{Address, Buckets, Object, RemoteError};

/// What can be fetched of one bucket.
pub(super) struct Objects<'a> {
    buckets: &'a Buckets,
    source_name: String,
    address: Address,
    /// The address is of one object, and not of all below a prefix.
    one: Option<&'a Link>,
}

// === impl Objects ===

impl<'a> Objects<'a> {
    /// Everything below a prefix.
    pub(super) fn below(buckets: &'a Buckets, address: &Address) -> Self {
        Self { buckets, source_name: address.to_string(), address: address.clone(), one: None }
    }

    pub(super) fn one(buckets: &'a Buckets, link: &'a Link, address: Address) -> Self {
        Self { buckets, source_name: link.to_string(), address, one: Some(link) }
    }

    async fn objects(&self) -> Result<Vec<Object>, StoreError> {
        let found = match self.one {
            Some(_) => vec![self.buckets.head(&self.address).await.map_err(|error| self.error(error))?],
            None => self.buckets.list(&self.address).await.map_err(|error| self.error(error))?,
        };
        let objects: Vec<Object> = found.iter().filter(|object| !is_folder(object, &found)).cloned().collect();
        if let Some(object) = objects.iter().find(|object| !stays_inside(&object.name)) {
            return Err(StoreError::Unsafe { source_name: self.source_name.clone(), file: object.name.clone() });
        }
        match objects.is_empty() {
            true => Err(StoreError::NotFound { host: self.host(), source_name: self.source_name.clone() }),
            false => Ok(objects),
        }
    }

    fn pin(&self) -> Option<&str> {
        self.one?.sha256.as_deref()
    }

    fn listed(&self, object: Object) -> Listed {
        let checksum = match self.pin() {
            Some(sha256) => Checksum::Sha256(sha256.to_owned()),
            None => Checksum::Unknown(version_of(&object.name, &object)),
        };
        Listed { path: object.name, size: object.size, checksum: Some(checksum), chunked: None }
    }

    async fn body(&self, file: &Listed, range: Range<u64>) -> Result<Body, StoreError> {
        let address = if self.one.is_some() { self.address.clone() } else { self.address.join(&file.path) };
        let from = range.start;
        let (object, chunks) = self.buckets.stream(&address, range).await.map_err(|error| self.error(error))?;
        let same = match &file.checksum {
            Some(Checksum::Unknown(version)) => *version == version_of(&file.path, &object),
            _ => object.size == file.size,
        };
        if !same {
            return Err(self.changed(&file.path, "the bucket has another version of it"));
        }
        let (host, source_name) = (self.host(), self.source_name.clone());
        let broken = move |error: RemoteError| store_error(error, host.clone(), source_name.clone());
        Ok(Body { from, ranged: true, chunks: chunks.map(move |chunk| chunk.map_err(&broken)).boxed() })
    }

    fn changed(&self, file: &str, reason: &str) -> StoreError {
        let source_name = self.source_name.clone();
        StoreError::Changed { source_name, file: file.to_owned(), reason: reason.to_owned() }
    }

    fn error(&self, error: RemoteError) -> StoreError {
        store_error(error, self.host(), self.source_name.clone())
    }
}

impl Origin for Objects<'_> {
    fn host(&self) -> String {
        format!("the bucket {}://{}", self.address.scheme.name(), self.address.bucket)
    }

    fn commit(&self) -> BoxFuture<'_, Result<String, StoreError>> {
        async move {
            match self.pin() {
                Some(sha256) => Ok(sha256.to_owned()),
                None => Ok(commit_of(&self.objects().await?)),
            }
        }
        .boxed()
    }

    fn list<'b>(&'b self, commit: &'b str) -> BoxFuture<'b, Result<Vec<Listed>, StoreError>> {
        async move {
            let objects = self.objects().await?;
            if self.pin().is_none() && commit_of(&objects) != commit {
                return Err(self.changed("a file", "the bucket lists other files than a moment ago"));
            }
            Ok(objects.into_iter().map(|object| self.listed(object)).collect())
        }
        .boxed()
    }

    /// The listing says all that is known.
    fn checksum<'b>(&'b self, _: &'b str, file: &'b Listed) -> BoxFuture<'b, Result<Checksum, StoreError>> {
        let known = file.checksum.clone().ok_or_else(|| self.changed(&file.path, "it was never listed"));
        async move { known }.boxed()
    }

    fn read<'b>(&'b self, _: &'b str, file: &'b Listed, range: Range<u64>) -> BoxFuture<'b, Result<Body, StoreError>> {
        self.body(file, range).boxed()
    }
}

/// Consoles make empty objects that stand for folders.
fn is_folder(object: &Object, all: &[Object]) -> bool {
    let below = |other: &Object| other.name.strip_prefix(&object.name).is_some_and(|rest| rest.starts_with('/'));
    object.size == 0 && all.iter().any(below)
}

fn version_of(name: &str, object: &Object) -> String {
    version(name, object.size, object.etag.as_deref().unwrap_or_default())
}

fn commit_of(objects: &[Object]) -> String {
    fingerprint(objects.iter().map(|object| version_of(&object.name, object)))
}

fn store_error(error: RemoteError, host: String, source_name: String) -> StoreError {
    match error {
        RemoteError::NotFound { .. } => StoreError::NotFound { host, source_name },
        RemoteError::Denied { .. } => {
            let remedy = "let the account of this server list and read it, or give other credentials (the settings \
                          remote.gcs and remote.s3)";
            StoreError::Denied { host, source_name, status: 403, remedy: remedy.to_owned(), gated: false }
        }
        RemoteError::Unreachable { reason, retry_after, .. } => {
            let reason = format!("cannot be reached: {reason}");
            StoreError::Unreachable { host, source_name, reason, retry_after }
        }
        other => StoreError::Foreign { host, source_name, reason: format!("does not give it: {other}") },
    }
}
