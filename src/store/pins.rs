//! Which commits somebody uses, so that nobody clears them away.
//!
//! ```text
//! .sconce/<commit>.used              its time says when the commit was last wanted
//! .sconce/<commit>.held-<random>     there as long as a process has the commit loaded; names the process
//! ```
//!
//! Whether a process of this machine lives is certain. Of one elsewhere the file's time tells, which its process
//! renews; times are compared with that of a file made just now in the same folder, so that the clocks of two machines
//! never meet.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{
    layout::RepoDir,
    owner::{Alive, Owner},
};

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(60);
/// After so long without one, a process elsewhere has ended: ten beats, since a network file system may be slow to tell.
const EXPIRY: Duration = Duration::from_secs(600);

/// Commits that this process uses, until this is dropped.
pub struct CommitPin {
    marks: Vec<Mark>,
    alive: Alive,
    beating: Option<JoinHandle<()>>,
}

/// Where it is written that a commit is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    /// `.sconce` of its repository.
    folder: PathBuf,
    commit: String,
}

/// What a file says that names its owner: a mark, or a download lock.
#[derive(Serialize, Deserialize)]
struct Signed {
    owner: Owner,
}

// === impl CommitPin ===

impl CommitPin {
    /// Of the commits that these files are of. A folder that cannot be written is left alone: who may not write there
    /// may not clear up there either. Blocks for moments; call it on a runtime.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a Path>) -> Self {
        let mut marks: Vec<Mark> = files.filter_map(Mark::of).collect();
        marks.sort();
        marks.dedup();
        let alive = Alive::new();
        marks.retain(|mark| mark.set(&alive.0).inspect_err(|error| unmarked(mark, error)).is_ok());
        let (beating, owner) = (marks.clone(), alive.0.clone());
        let beating = (!beating.is_empty()).then(|| tokio::spawn(beat(beating, owner)));
        Self { marks, alive, beating }
    }
}

impl Drop for CommitPin {
    fn drop(&mut self) {
        if let Some(beating) = &self.beating {
            beating.abort();
        }
        for mark in &self.marks {
            drop(fs::remove_file(mark.path(&self.alive.0)));
        }
    }
}

impl std::fmt::Debug for CommitPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.marks.iter().map(|mark| &mark.commit)).finish()
    }
}

async fn beat(marks: Vec<Mark>, owner: Owner) {
    loop {
        tokio::time::sleep(BEAT).await;
        let (marks, owner) = (marks.clone(), owner.clone());
        let set =
            move || marks.iter().for_each(|mark| drop(mark.set(&owner).inspect_err(|error| unmarked(mark, error))));
        let _ = tokio::task::spawn_blocking(set).await;
    }
}

fn unmarked(mark: &Mark, error: &io::Error) {
    tracing::debug!(folder = %mark.folder.display(), commit = mark.commit, %error, "cannot mark a commit as used");
}

// === impl Mark ===

impl Mark {
    /// Of a file `…/<repository>/snapshots/<commit>/…`.
    fn of(file: &Path) -> Option<Self> {
        let (repo, commit) = RepoDir::of_file(file)?;
        Some(Self { folder: repo.ours(), commit })
    }

    fn path(&self, owner: &Owner) -> PathBuf {
        self.folder.join(format!("{}.held-{}", self.commit, owner.id))
    }

    fn set(&self, owner: &Owner) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        fs::write(self.folder.join(format!("{}.used", self.commit)), b"")?;
        fs::write(self.path(owner), serde_json::to_vec(&Signed { owner: owner.clone() })?)
    }
}

/// When a commit was last wanted, as far as anybody wrote it down.
pub(super) fn last_used(folder: &Path, commit: &str) -> Option<SystemTime> {
    fs::metadata(folder.join(format!("{commit}.used"))).and_then(|meta| meta.modified()).ok()
}

/// Whether a process that lives has the commit in use.
pub(super) fn is_pinned(folder: &Path, commit: &str, now: SystemTime) -> bool {
    marks(folder, commit).any(|mark| is_alive(&mark, now))
}

/// Whether the owner of a signed file lives. One that cannot be understood is of somebody who lives while it is young.
pub(super) fn is_alive(signed: &Path, now: SystemTime) -> bool {
    let owner = fs::read(signed).ok().and_then(|text| serde_json::from_slice::<Signed>(&text).ok());
    let modified = fs::metadata(signed).and_then(|meta| meta.modified());
    let Ok(modified) = modified else { return false };
    match owner {
        Some(Signed { owner }) if owner.is_dead() => false,
        Some(Signed { owner }) if owner.is_here() => true,
        _ => now.duration_since(modified).is_ok_and(|silent| silent < EXPIRY) || modified > now,
    }
}

/// Removes what is written about a commit that is gone.
pub(super) fn forget(folder: &Path, commit: &str) {
    drop(fs::remove_file(folder.join(format!("{commit}.used"))));
    marks(folder, commit).for_each(|mark| drop(fs::remove_file(mark)));
}

/// Removes the marks of processes that ended.
pub(super) fn remove_stale(folder: &Path, commit: &str, now: SystemTime) {
    marks(folder, commit).filter(|mark| !is_alive(mark, now)).for_each(|mark| drop(fs::remove_file(mark)));
}

fn marks(folder: &Path, commit: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let prefix = format!("{commit}.held-");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(&prefix)).map(|entry| entry.path())
}

/// What time it is where a folder lies.
pub(super) fn now_at(folder: &Path) -> io::Result<SystemTime> {
    tempfile::Builder::new().prefix(".now-").tempfile_in(folder)?.as_file().metadata()?.modified()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_commit_is_pinned_until_the_pin_is_dropped() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("models--a--b/snapshots/abc/sub/config.json");
        let folder = dir.path().join("models--a--b/.sconce");
        let pin = CommitPin::of([file.as_path(), &file].into_iter());
        let now = now_at(dir.path()).unwrap();
        assert!(is_pinned(&folder, "abc", now) && !is_pinned(&folder, "ab", now));
        assert!(is_pinned(&folder, "abc", now + 100 * EXPIRY), "this machine knows that its process lives");
        drop(pin);
        assert!(!is_pinned(&folder, "abc", now));
        assert!(last_used(&folder, "abc").is_some(), "when it was used stays known");
        forget(&folder, "abc");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_process_elsewhere_lives_as_long_as_it_gives_signs() {
        let dir = TempDir::new().unwrap();
        let alive = Alive::new();
        let mark = Mark { folder: dir.path().to_owned(), commit: "abc".to_owned() };
        mark.set(&alive.0).unwrap();
        let path = mark.path(&alive.0);
        let elsewhere = fs::read_to_string(&path).unwrap().replace("\"boot\":\"", "\"boot\":\"x");
        fs::write(&path, elsewhere).unwrap();
        let now = now_at(dir.path()).unwrap();
        assert!(is_pinned(dir.path(), "abc", now) && !is_pinned(dir.path(), "abc", now + 2 * EXPIRY));
    }
}
