//! What a cache holds, and what went of it, for people.

use serde::Serialize;

/// One repository in a cache.
#[derive(Clone, Debug, Serialize)]
pub struct CachedModel {
    /// `org/name` of the hub, or the source as it is written.
    pub name: String,
    /// Below the cache.
    pub folder: String,
    /// Of everything in it, what several commits share counted once.
    pub bytes: u64,
    pub commits: Vec<CachedCommit>,
    /// Bytes that no commit needs: broken transfers, blobs that nothing links to.
    pub waste: u64,
}

/// One version of it.
#[derive(Clone, Debug, Serialize)]
pub struct CachedCommit {
    pub commit: String,
    /// Branches that meant it when they were last asked.
    pub refs: Vec<String>,
    pub files: usize,
    /// Of its files, shared ones included.
    pub bytes: u64,
    /// Seconds since 1970; `None` if nobody of us used it.
    pub last_used: Option<u64>,
    /// Loaded by a process, or being written.
    pub in_use: bool,
    /// Fetched by this program, and not by another tool.
    pub ours: bool,
}

/// What went, or would go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleared {
    pub bytes: u64,
    /// `name@commit`.
    pub commits: Vec<String>,
    /// Temporary files, quarantined ones, and blobs that nothing links to.
    pub files: usize,
    /// `name@commit` that should have gone, but is in use.
    pub kept: Vec<String>,
}

/// One version of one repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doomed {
    pub folder: String,
    pub commit: String,
}

// === impl Cleared ===

impl Cleared {
    /// Of several caches.
    pub(in crate::store) fn sum(all: Vec<Self>) -> Self {
        let mut sum = Self::default();
        all.into_iter().for_each(|one| sum.add(one));
        sum
    }

    pub(in crate::store) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.files += other.files;
        self.commits.extend(other.commits);
        self.kept.extend(other.kept);
    }
}
