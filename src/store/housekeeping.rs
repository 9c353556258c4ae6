//! What lies in a cache, what of it nobody needs, and how it goes.
//!
//! A cache is shared with the Python tools. What they fetched is listed and counted, and goes only when a person says
//! so; a blob goes only when no snapshot links to it. What is loaded by any process, or being written, stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::{
    layout::{self, RepoDir},
    manifest::Manifest,
    partial::{is_left_behind, journal_of},
    uses,
};

/// What nobody has written to for so long, nobody is writing.
const QUIET: Duration = Duration::from_secs(3600);
/// A part of a file may be gone on with for so long.
const WORTH_KEEPING: Duration = Duration::from_secs(24 * 3600);

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

/// One repository, with what each commit needs.
struct Repo {
    dir: PathBuf,
    name: String,
    commits: BTreeMap<String, Contents>,
    refs: BTreeMap<String, String>,
    blobs: BTreeMap<FileId, Blob>,
    being_written: bool,
}

/// The files of one commit, each by what it really is.
#[derive(Default)]
struct Contents {
    files: usize,
    needs: BTreeMap<FileId, u64>,
}

struct Blob {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

/// Device and inode: what is linked twice is there once.
type FileId = (u64, u64);

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
        let now = uses::now_at(root).unwrap_or_else(|_| SystemTime::now());
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
                if !uses::is_held(&repo.ours(), commit, self.now) {
                    candidates.push((used, doomed));
                }
            }
        }
        candidates.sort();
        candidates
    }
}

// === impl Repo ===

impl Repo {
    fn look(dir: PathBuf, now: SystemTime) -> Self {
        let mut commits = BTreeMap::new();
        for snapshot in children(&dir.join("snapshots")) {
            if let Some(commit) = snapshot.file_name().and_then(|name| name.to_str()) {
                let mut contents = Contents::default();
                contents.read(&snapshot);
                commits.insert(commit.to_owned(), contents);
            }
        }
        let names = layout::walk(&dir.join("refs")).unwrap_or_default();
        let commit_of = |name: &String| Some(fs::read_to_string(dir.join("refs").join(name)).ok()?.trim().to_owned());
        let refs = names.iter().filter_map(|name| Some((name.clone(), commit_of(name)?))).collect();
        let blobs = children(&dir.join("blobs")).into_iter().filter_map(Blob::look).collect();
        let lease = dir.join(".sconce/lease.json");
        let being_written = uses::is_alive(&lease, now);
        let name = name_of(&dir, commits.keys());
        Self { dir, name, commits, refs, blobs, being_written }
    }

    fn model(&self, now: SystemTime) -> CachedModel {
        let commit = |(commit, contents): (&String, &Contents)| CachedCommit {
            commit: commit.clone(),
            refs: self.refs_to(commit),
            files: contents.files,
            bytes: contents.needs.values().sum(),
            last_used: uses::last_used(&self.ours(), commit).and_then(seconds),
            in_use: self.being_written || uses::is_held(&self.ours(), commit, now),
            ours: self.is_ours(commit),
        };
        let needed = self.needed();
        let waste = self.blobs.iter().filter(|(id, _)| !needed.contains(*id)).map(|(_, blob)| blob.bytes).sum();
        let (name, folder, bytes) = (self.name.clone(), self.folder(), self.bytes());
        CachedModel { name, folder, bytes, waste, commits: self.commits.iter().map(commit).collect() }
    }

    fn bytes(&self) -> u64 {
        let in_commits =
            self.commits.values().flat_map(|contents| contents.needs.iter().map(|(id, bytes)| (*id, *bytes)));
        let in_blobs = self.blobs.iter().map(|(id, blob)| (*id, blob.bytes));
        in_commits.chain(in_blobs).collect::<BTreeMap<_, _>>().values().sum()
    }

    /// The snapshot goes at once, by a rename; then, bit by bit, what only it needed.
    fn remove(&mut self, commit: &str, now: SystemTime, dry: bool, cleared: &mut Cleared) -> io::Result<()> {
        let label = format!("{}@{commit}", self.name);
        if self.being_written || uses::is_held(&self.ours(), commit, now) {
            cleared.kept.push(label);
            return Ok(());
        }
        let Some(contents) = self.commits.remove(commit) else { return Ok(()) };
        let others = self.needed();
        let alone: Vec<_> = contents.needs.iter().filter(|(id, _)| !others.contains(*id)).collect();
        cleared.bytes += alone.iter().map(|(_, bytes)| **bytes).sum::<u64>();
        cleared.commits.push(label);
        let blobs: Vec<Blob> = alone.iter().filter_map(|(id, _)| self.blobs.remove(*id)).collect();
        if dry {
            return Ok(());
        }
        if self.commits.is_empty() && self.blobs.is_empty() {
            return remove_whole(&self.dir);
        }
        self.forget(commit)?;
        blobs.iter().try_for_each(|blob| remove(&blob.path))
    }

    /// The manifest first: without it, nothing is there.
    fn forget(&self, commit: &str) -> io::Result<()> {
        remove(&self.ours().join(format!("{commit}.json")))?;
        for name in self.refs_to(commit) {
            remove(&self.dir.join("refs").join(name))?;
        }
        let snapshot = self.dir.join("snapshots").join(commit);
        if snapshot.exists() {
            let aside = RepoDir::at(&self.dir).temporary_folder()?;
            fs::rename(snapshot, aside.path().join("old"))?;
        }
        uses::forget(&self.ours(), commit);
        Ok(())
    }

    fn collect(&mut self, now: SystemTime, dry: bool, cleared: &mut Cleared) -> io::Result<()> {
        if self.being_written {
            return Ok(());
        }
        let needed = self.needed();
        let quiet = |time: SystemTime, length: Duration| now.duration_since(time).is_ok_and(|silent| silent > length);
        let mut doomed = Vec::new();
        for (id, blob) in &self.blobs {
            let extension = blob.path.extension().and_then(|extension| extension.to_str());
            let useless = match extension {
                Some("part") => is_left_behind(&blob.path) && quiet(blob.modified, WORTH_KEEPING),
                // What goes with a part, or is another tool's.
                Some("journal" | "incomplete" | "lock") => false,
                _ => !needed.contains(id) && quiet(blob.modified, QUIET),
            };
            if useless {
                doomed.push((blob.path.clone(), blob.bytes));
            }
        }
        for path in children(&self.ours().join("quarantine")) {
            doomed.extend(fs::metadata(&path).ok().map(|meta| (path, meta.len())));
        }
        for path in children(&self.ours()).into_iter().filter(|path| layout::is_unpacking(path)) {
            if newest(&path).is_some_and(|time| quiet(time, QUIET)) {
                let bytes = size_below(&path);
                doomed.push((path, bytes));
            }
        }
        for (path, bytes) in doomed {
            cleared.bytes += bytes;
            cleared.files += 1;
            if dry {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else {
                remove(&path)?;
                remove(&journal_of(&path))?;
            }
        }
        if !dry {
            self.commits.keys().for_each(|commit| uses::bury(&self.ours(), commit, now));
        }
        Ok(())
    }

    /// What any commit needs.
    fn needed(&self) -> BTreeSet<FileId> {
        self.commits.values().flat_map(|contents| contents.needs.keys().copied()).collect()
    }

    fn refs_to(&self, commit: &str) -> Vec<String> {
        self.refs.iter().filter(|(_, meant)| *meant == commit).map(|(name, _)| name.clone()).collect()
    }

    fn ours(&self) -> PathBuf {
        self.dir.join(".sconce")
    }

    fn is_ours(&self, commit: &str) -> bool {
        self.ours().join(format!("{commit}.json")).is_file()
    }

    /// When nobody wrote it down, when it was fetched.
    fn last_used(&self, commit: &str) -> SystemTime {
        let fetched = || fs::metadata(self.ours().join(format!("{commit}.json"))).and_then(|meta| meta.modified());
        uses::last_used(&self.ours(), commit).or_else(|| fetched().ok()).unwrap_or(UNIX_EPOCH)
    }

    fn folder(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

// === impl Contents ===

impl Contents {
    fn read(&mut self, folder: &Path) {
        for path in children(folder) {
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => self.read(&path),
                Ok(meta) => {
                    self.files += 1;
                    self.needs.insert(id(&meta), meta.len());
                }
                // A link that leads nowhere.
                Err(_) => {}
            }
        }
    }
}

// === impl Blob ===

impl Blob {
    fn look(path: PathBuf) -> Option<(FileId, Self)> {
        let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some((id(&meta), Self { path, bytes: meta.len(), modified: meta.modified().unwrap_or(UNIX_EPOCH) }))
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

/// The name that a manifest gives it, or that its folder does.
fn name_of<'a>(dir: &Path, commits: impl Iterator<Item = &'a String>) -> String {
    let folder = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(repo) = folder.strip_prefix("models--") {
        return repo.replacen("--", "/", 1);
    }
    let known = |commit: &String| Manifest::read(&dir.join(".sconce").join(format!("{commit}.json")));
    commits.map(known).next().flatten().map_or(folder, |manifest| manifest.repo)
}

fn remove_whole(dir: &Path) -> io::Result<()> {
    // Out of sight first: what is half removed must not be found.
    let hidden = dir.with_file_name(format!(".removing-{:016x}", rand::random::<u64>()));
    fs::rename(dir, &hidden)?;
    fs::remove_dir_all(hidden)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// When anything below a folder last changed.
fn newest(folder: &Path) -> Option<SystemTime> {
    let own = fs::symlink_metadata(folder).and_then(|meta| meta.modified()).ok();
    children(folder).iter().map(|path| newest(path)).fold(own, Ord::max)
}

fn size_below(path: &Path) -> u64 {
    let own = fs::symlink_metadata(path).map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 });
    own + children(path).iter().map(|path| size_below(path)).sum::<u64>()
}

fn id(meta: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests;
