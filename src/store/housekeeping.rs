//! What lies in a cache, what of it nobody needs, and how it goes.
//!
//! A cache is shared with the Python tools. What they fetched is listed and counted, and goes only when a person says
//! so; a blob goes only when no snapshot links to it. What is loaded by any process, or being written, stays.

mod repo;

use std::{
    fs, io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use self::repo::Repo;
use super::pins;

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

/// A cache, looked at.
pub(super) struct Cache {
    repos: Vec<Repo>,
    /// What time it is there.
    now: SystemTime,
}

// === impl Cache ===

impl Cache {
    /// Looks at everything in a cache. One that is not there is empty. Blocks.
    pub(super) fn look(root: &Path) -> io::Result<Self> {
        let entries = match fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { repos: Vec::new(), now: UNIX_EPOCH });
            }
            entries => entries?,
        };
        let mut repos: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_repo(path)).collect();
        repos.sort();
        // A cache that can only be read has nobody who writes.
        let now = pins::now_at(root).unwrap_or_else(|_| SystemTime::now());
        let repos = repos.into_iter().map(|dir| Repo::look(dir, now)).collect();
        Ok(Self { repos, now })
    }

    pub(super) fn models(&self) -> Vec<CachedModel> {
        self.repos.iter().map(|repo| repo.model(self.now)).collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.repos.iter().map(Repo::bytes).sum()
    }

    /// Removes commits, and what nothing else needs then.
    pub(super) fn remove(&mut self, doomed: &[Doomed], dry: bool) -> io::Result<Cleared> {
        let mut cleared = Cleared::default();
        for Doomed { folder, commit } in doomed {
            let Some(repo) = self.repos.iter_mut().find(|repo| repo.folder() == *folder) else { continue };
            repo.remove(commit, self.now, dry, &mut cleared)?;
        }
        Ok(cleared)
    }

    /// Removes what no commit needs. What is removed is still counted: look again.
    pub(super) fn collect(&mut self, dry: bool) -> io::Result<Cleared> {
        let mut cleared = Cleared::default();
        for repo in &mut self.repos {
            repo.collect(self.now, dry, &mut cleared)?;
        }
        Ok(cleared)
    }

    /// Removes commits that we fetched, the one first that was not used for longest, until no more than `limit` bytes
    /// are left, or nothing more may go.
    pub(super) fn shrink(&mut self, limit: u64, dry: bool) -> io::Result<Cleared> {
        let (before, mut cleared) = (self.bytes(), Cleared::default());
        for (_, doomed) in self.oldest_first() {
            if before.saturating_sub(cleared.bytes) <= limit {
                break;
            }
            let one = self.remove(&[doomed], dry)?;
            cleared.add(one);
        }
        Ok(cleared)
    }

    /// What may go, by when it was last used.
    fn oldest_first(&self) -> Vec<(SystemTime, Doomed)> {
        let mut candidates = Vec::new();
        for repo in self.repos.iter().filter(|repo| !repo.being_written) {
            for commit in repo.commits.keys().filter(|commit| repo.is_ours(commit)) {
                let used = repo.last_used(commit);
                let doomed = Doomed { folder: repo.folder(), commit: commit.clone() };
                if !pins::is_held(&repo.ours(), commit, self.now) {
                    candidates.push((used, doomed));
                }
            }
        }
        candidates.sort();
        candidates
    }
}

// === impl Cleared ===

impl Cleared {
    /// Of several caches.
    pub(super) fn sum(all: Vec<Self>) -> Self {
        let mut sum = Self::default();
        all.into_iter().for_each(|one| sum.add(one));
        sum
    }

    pub(super) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.files += other.files;
        self.commits.extend(other.commits);
        self.kept.extend(other.kept);
    }
}

fn is_repo(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| name.to_string_lossy().contains("--"));
    named && (path.join("snapshots").is_dir() || path.join("blobs").is_dir())
}

#[cfg(test)]
mod tests;
