//! What requests have in common before they differ, read once and kept.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{model::LruCache, nn::llama::Sequence};

/// The beginning of a sequence, as the network remembers it.
#[derive(Debug)]
pub struct Prefix {
    pub(super) sequence: Sequence,
    /// The last columns of recordings in it, `[columns, books]`.
    pub(super) audio: Vec<u32>,
}

/// Beginnings that are kept, by what they were made of. Those used longest ago go first.
#[derive(Debug)]
pub struct PrefixCache(Mutex<LruCache<Arc<Prefix>>>);

// === impl Prefix ===

impl Prefix {
    /// Positions.
    pub fn len(&self) -> usize {
        self.sequence.len()
    }
}

// === impl PrefixCache ===

impl PrefixCache {
    /// Of so many bytes at most.
    pub fn new(bytes: u64) -> Self {
        Self(Mutex::new(LruCache::new(bytes)))
    }

    /// The one of that name; made by `read`, with its bytes, where there is none.
    pub fn get_or_read<E>(
        &self,
        name: &str,
        read: impl FnOnce() -> Result<(Prefix, u64), E>,
    ) -> Result<Arc<Prefix>, E> {
        if let Some(kept) = self.0.lock().get(name) {
            return Ok(kept);
        }
        let (prefix, bytes) = read()?;
        let prefix = Arc::new(prefix);
        self.0.lock().put(name.to_owned(), prefix.clone(), bytes);
        Ok(prefix)
    }
}
