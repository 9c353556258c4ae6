//! One repository of a cache: what each of its commits needs, and what nobody does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    super::{
        files,
        layout::{self, RepoDir},
        manifest::Manifest,
        partial::{is_left_behind, journal_of},
        pins,
    },
    report::{CachedCommit, CachedModel, Cleared},
};

/// What nobody has written to for so long, nobody is writing.
const QUIET: Duration = Duration::from_secs(3600);
/// A part of a file may be gone on with for so long.
const WORTH_KEEPING: Duration = Duration::from_secs(24 * 3600);

/// One repository, with what each commit needs.
pub(super) struct Repo {
    dir: PathBuf,
    name: String,
    pub commits: BTreeMap<String, Contents>,
    refs: BTreeMap<String, String>,
    blobs: BTreeMap<FileId, Blob>,
    pub being_written: bool,
}

/// The files of one commit, each by what it really is.
#[derive(Default)]
pub(super) struct Contents {
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

// === impl Repo ===

impl Repo {
    pub(super) fn look(dir: PathBuf, now: SystemTime) -> Self {
        let mut commits = BTreeMap::new();
        for snapshot in children(&dir.join("snapshots")) {
            if let Some(commit) = snapshot.file_name().and_then(|name| name.to_str()) {
                let mut contents = Contents::default();
                contents.read(&snapshot);
                contents.read_derived(&RepoDir::at(&dir).derived(commit));
                commits.insert(commit.to_owned(), contents);
            }
        }
        let names = files::walk(&dir.join("refs")).unwrap_or_default();
        let commit_of = |name: &String| Some(fs::read_to_string(dir.join("refs").join(name)).ok()?.trim().to_owned());
        let refs = names.iter().filter_map(|name| Some((name.clone(), commit_of(name)?))).collect();
        let blobs = children(&dir.join("blobs")).into_iter().filter_map(Blob::look).collect();
        let lock = dir.join(".sconce/lease.json");
        let being_written = pins::is_alive(&lock, now);
        let name = name_of(&dir, commits.keys());
        Self { dir, name, commits, refs, blobs, being_written }
    }

    pub(super) fn model(&self, now: SystemTime) -> CachedModel {
        let commit = |(commit, contents): (&String, &Contents)| CachedCommit {
            commit: commit.clone(),
            refs: self.refs_to(commit),
            files: contents.files,
            bytes: contents.needs.values().sum(),
            last_used: pins::last_used(&self.ours(), commit).and_then(seconds),
            in_use: self.being_written || pins::is_pinned(&self.ours(), commit, now),
            ours: self.is_ours(commit),
        };
        let needed = self.needed();
        let waste = self.blobs.iter().filter(|(id, _)| !needed.contains(*id)).map(|(_, blob)| blob.bytes).sum();
        let (name, folder, bytes) = (self.name.clone(), self.folder(), self.bytes());
        CachedModel { name, folder, bytes, waste, commits: self.commits.iter().map(commit).collect() }
    }

    pub(super) fn bytes(&self) -> u64 {
        let in_commits =
            self.commits.values().flat_map(|contents| contents.needs.iter().map(|(id, bytes)| (*id, *bytes)));
        let in_blobs = self.blobs.iter().map(|(id, blob)| (*id, blob.bytes));
        in_commits.chain(in_blobs).collect::<BTreeMap<_, _>>().values().sum()
    }

    /// The snapshot goes at once, by a rename; then, bit by bit, what only it needed.
    pub(super) fn remove(&mut self, commit: &str, now: SystemTime, dry: bool, cleared: &mut Cleared) -> io::Result<()> {
        let label = format!("{}@{commit}", self.name);
        if self.being_written || pins::is_pinned(&self.ours(), commit, now) {
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
        remove_folder(&RepoDir::at(&self.dir).derived(commit))?;
        pins::forget(&self.ours(), commit);
        Ok(())
    }

    pub(super) fn collect(&mut self, now: SystemTime, dry: bool, cleared: &mut Cleared) -> io::Result<()> {
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
        for path in children(&self.ours()) {
            match layout::derived_of(&path) {
                None => {}
                Some(commit) if !self.commits.contains_key(commit) => doomed.push((path.clone(), size_below(&path))),
                // What somebody began to write, and did not end.
                Some(_) => {
                    let parts =
                        children(&path).into_iter().filter(|path| path.extension().is_some_and(|it| it == "part"));
                    let left = parts.filter(|path| newest(path).is_some_and(|time| quiet(time, QUIET)));
                    doomed.extend(left.map(|path| (path.clone(), size_below(&path))));
                }
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
            self.commits.keys().for_each(|commit| pins::remove_stale(&self.ours(), commit, now));
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

    pub(super) fn ours(&self) -> PathBuf {
        self.dir.join(".sconce")
    }

    pub(super) fn is_ours(&self, commit: &str) -> bool {
        self.ours().join(format!("{commit}.json")).is_file()
    }

    /// When nobody wrote it down, when it was fetched.
    pub(super) fn last_used(&self, commit: &str) -> SystemTime {
        let fetched = || fs::metadata(self.ours().join(format!("{commit}.json"))).and_then(|meta| meta.modified());
        pins::last_used(&self.ours(), commit).or_else(|| fetched().ok()).unwrap_or(UNIX_EPOCH)
    }

    pub(super) fn folder(&self) -> String {
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

    /// What was computed of the files counts with them, though it is none of them.
    fn read_derived(&mut self, folder: &Path) {
        let files = children(folder).into_iter().filter_map(|path| fs::metadata(path).ok());
        self.needs.extend(files.map(|meta| (id(&meta), meta.len())));
    }
}

// === impl Blob ===

impl Blob {
    fn look(path: PathBuf) -> Option<(FileId, Self)> {
        let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some((id(&meta), Self { path, bytes: meta.len(), modified: meta.modified().unwrap_or(UNIX_EPOCH) }))
    }
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
    unless_gone(fs::remove_file(path))
}

fn remove_folder(path: &Path) -> io::Result<()> {
    unless_gone(fs::remove_dir_all(path))
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
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
