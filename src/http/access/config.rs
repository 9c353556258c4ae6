//! Who may use the server, and how much.

use std::path::PathBuf;

use super::key::{Digest, Limits};

/// Who may use the server, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Digests of keys with the scope `infer`.
    pub keys: Vec<Digest>,
    /// Digests of keys with every scope.
    pub admin_keys: Vec<Digest>,
    /// A file of further keys.
    pub file: Option<PathBuf>,
    /// Whether `/metrics` is open to who has no key.
    pub open_metrics: bool,
    /// Of a key that names none of its own.
    pub limits: Limits,
    /// Requests that ask for work, of all callers together, that may be under way at once.
    pub concurrency: Option<usize>,
}

// === impl Config ===

impl Config {
    /// Whether requests need a key. A file of keys says so even where it is empty by now.
    pub fn asks_for_keys(&self) -> bool {
        !self.keys.is_empty() || !self.admin_keys.is_empty() || self.file.is_some()
    }
}
