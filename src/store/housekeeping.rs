//! What lies in a cache, what of it nobody needs, and how it goes.
//!
//! A cache is shared with the Python tools. What they fetched is listed and counted, and goes only when a person says
//! so; a blob goes only when no snapshot links to it. What is loaded by any process, or being written, stays.

mod repo;
mod report;

use std::{
    fs, io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use self::repo::Repo;
pub use self::report::{CachedCommit, CachedModel, Cleared, Doomed};
use super::pins;

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
                if !pins::is_pinned(&repo.ours(), commit, self.now) {
                    candidates.push((used, doomed));
                }
            }
        }
        candidates.sort();
        candidates
    }
}

fn is_repo(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| name.to_string_lossy().contains("--"));
    named && (path.join("snapshots").is_dir() || path.join("blobs").is_dir())
}

#[cfg(test)]
mod tests;
