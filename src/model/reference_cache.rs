//! What families compute of reference recordings, kept for the next request: in memory, and in a folder for the next
//! process.
//!
//! A computation is named by the recording, by who computes and by how ([`ReferenceKey`]), so that no change of a model
//! or of a setting finds what was computed before it. The folder is a cache: whatever is wrong with it costs a computation
//! and a line in the log, never a request.

mod folder;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use prometheus::{IntCounterVec, Opts, Registry};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::folder::ReferenceTensors;

use self::folder::Folder;
use super::LruCache;

/// What is kept of references, and how much.
#[derive(Clone, Debug)]
pub struct ReferenceCacheConfig {
    /// Bytes in memory.
    pub memory: u64,
    /// `None`: nothing outlives the process.
    pub folder: Option<PathBuf>,
    /// Bytes in the folder.
    pub disk: u64,
}

/// What names a computation.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReferenceKey<'a> {
    /// The recording's [`sha256`](crate::speech::ReferenceVoice::sha256).
    pub recording: &'a str,
    /// The family and the revision of what computes: [`ModelFiles::fingerprint`](super::ModelFiles::fingerprint).
    pub encoder: (&'a str, &'a str),
    /// All else that the result depends on.
    pub parameters: &'a [(&'a str, f64)],
}

/// What families computed of references. Clones share it; any thread may use it.
#[derive(Clone, Debug)]
pub struct ReferenceCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Locked for a look-up or a change, never across a computation.
    memory: Mutex<LruCache<Arc<ReferenceTensors>>>,
    folder: Option<Folder>,
    /// By where it was found: `memory`, `disk` or `computed`.
    uses: IntCounterVec,
}

// === impl ReferenceCache ===

impl ReferenceCache {
    pub fn new(config: &ReferenceCacheConfig) -> Self {
        let folder = config.folder.clone().map(|path| Folder::new(path, config.disk));
        Self(Arc::new(Shared { memory: Mutex::new(LruCache::new(config.memory)), folder, uses: uses() }))
    }

    /// Lets Prometheus see it.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.0.uses.clone()))
    }

    /// What was computed under this key, else what `compute` makes now. Blocks on a disk.
    ///
    /// # Errors
    /// Those of `compute`; then nothing is kept.
    pub fn get_or_compute<E>(
        &self,
        key: &ReferenceKey<'_>,
        compute: impl FnOnce() -> Result<ReferenceTensors, E>,
    ) -> Result<Arc<ReferenceTensors>, E> {
        let name = key.digest();
        if let Some(tensors) = self.0.memory.lock().get(&name) {
            self.count("memory");
            return Ok(tensors);
        }
        let folder = self.0.folder.as_ref();
        let tensors = match folder.and_then(|folder| folder.get(&name)) {
            Some(kept) => {
                self.count("disk");
                Arc::new(kept)
            }
            None => {
                let computed = compute()?;
                self.count("computed");
                folder.into_iter().for_each(|folder| folder.put(&name, &computed));
                Arc::new(computed)
            }
        };
        let bytes = tensors.values().map(|tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64).sum();
        self.0.memory.lock().put(name, tensors.clone(), bytes);
        Ok(tensors)
    }

    fn count(&self, found: &str) {
        self.0.uses.with_label_values(&[found]).inc();
    }
}

/// Nothing outlives the process.
impl Default for ReferenceCache {
    fn default() -> Self {
        Self::new(&ReferenceCacheConfig { memory: 64 << 20, folder: None, disk: 0 })
    }
}

fn uses() -> IntCounterVec {
    let opts = Opts::new(
        "sconce_reference_cache_total",
        "Uses of what is computed of a reference recording, by where it was found: memory, disk, or computed anew.",
    );
    let uses = IntCounterVec::new(opts, &["found"]).unwrap_or_else(|_| unreachable!("the name is well formed"));
    ["memory", "disk", "computed"].iter().for_each(|found| drop(uses.with_label_values(&[found])));
    uses
}

// === impl ReferenceKey ===

impl ReferenceKey<'_> {
    /// In lower-case hexadecimal.
    fn digest(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(Sha256::digest(text))
    }
}
