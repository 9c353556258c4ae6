//! What of a repository is on this machine, without asking anybody.

use std::path::{Path, PathBuf};

use super::{cached_repo::CachedRepo, digest::Checksum, files::walk, layout::RepoDir, manifest::Manifest};

/// One commit of one repository in one cache.
pub(super) struct LocalSnapshots {
    snapshot: PathBuf,
    /// None: filled by another tool, whose files are in place only when they are whole.
    pub manifest: Option<Manifest>,
}

/// A file that is here.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub file: String,
    pub path: PathBuf,
    pub size: u64,
}

// === impl LocalSnapshots ===

impl LocalSnapshots {
    /// `None` if the cache knows nothing of that commit.
    pub(super) fn open(cache: &Path, repo: &CachedRepo, commit: &str) -> Option<Self> {
        let dir = RepoDir::new(cache, repo);
        let (snapshot, manifest) = (dir.snapshot(commit), Manifest::read(&dir.manifest(commit)));
        // Elsewhere than in the hub's own folders nobody writes but us, and not without a manifest.
        let filled = || repo.is_of_hub() && snapshot.is_dir();
        (manifest.is_some() || filled()).then_some(Self { snapshot, manifest })
    }

    /// All files of the commit where they are known, else those that are here.
    pub(super) fn listing(&self) -> Vec<String> {
        match &self.manifest {
            Some(manifest) => manifest.listing.clone(),
            None => walk(&self.snapshot).unwrap_or_default(),
        }
    }

    /// Where a file lies, if it does.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.snapshot.join(file)
    }

    /// A file that is here and whole, as far as its size and its entry or name tell.
    pub(super) fn find(&self, file: &str) -> Option<Found> {
        let path = self.path(file);
        let meta = std::fs::metadata(&path).ok().filter(|meta| meta.is_file())?;
        let entry = self.manifest.as_ref().map(|manifest| manifest.files.get(file));
        let whole = match entry {
            None => true,
            Some(Some(entry)) => entry.size == meta.len(),
            // Added by another tool later.
            Some(None) => self.checksum(file).is_some(),
        };
        whole.then(|| Found { file: file.to_owned(), path, size: meta.len() })
    }

    /// What a file should be, by its entry, or by the name of the blob that it links to.
    pub(super) fn checksum(&self, file: &str) -> Option<Checksum> {
        let entry = self.manifest.as_ref().and_then(|manifest| manifest.files.get(file));
        if let Some(entry) = entry {
            return Some(Checksum::Sha256(entry.sha256.clone()));
        }
        let target = std::fs::read_link(self.path(file)).ok()?;
        Checksum::of_name(target.file_name()?.to_str()?)
    }
}

/// What is here of a source, as far as this machine knows what it means.
pub(super) fn local<E>(
    caches: &[PathBuf],
    repo: &CachedRepo,
    choose: impl Fn(&[String]) -> Result<Vec<String>, E>,
) -> Option<(String, Vec<Found>)> {
    let whole = |commit: String| complete(caches, repo, &commit, &choose).map(|found| (commit, found));
    commits(caches, repo).into_iter().find_map(whole)
}

/// A file that is here, whether or not the rest of its repository is.
pub(super) fn single(caches: &[PathBuf], repo: &CachedRepo, file: &str) -> Option<Found> {
    let commits = commits(caches, repo);
    let snapshots =
        commits.iter().flat_map(|commit| caches.iter().filter_map(|dir| LocalSnapshots::open(dir, repo, commit)));
    snapshots.into_iter().find_map(|snapshot| snapshot.find(file))
}

/// What of a source is not here, for people.
pub(super) fn missing<E>(
    caches: &[PathBuf],
    repo: &CachedRepo,
    choose: impl Fn(&[String]) -> Result<Vec<String>, E>,
) -> String {
    let names = commits(caches, repo).into_iter().flat_map(|commit| missing_of(caches, repo, &commit, &choose));
    let names: Vec<String> = names.collect();
    if names.is_empty() { "a complete copy".to_owned() } else { names.join(", ") }
}

/// The files that `choose` wants of a commit, if all of them are here; they may lie in several caches.
pub(super) fn complete<E>(
    caches: &[PathBuf],
    repo: &CachedRepo,
    commit: &str,
    choose: impl Fn(&[String]) -> Result<Vec<String>, E>,
) -> Option<Vec<Found>> {
    let snapshots: Vec<LocalSnapshots> =
        caches.iter().filter_map(|cache| LocalSnapshots::open(cache, repo, commit)).collect();
    let wanted = choose(&listing(&snapshots)).ok()?;
    let find = |file: &String| snapshots.iter().find_map(|snapshot| snapshot.find(file));
    (!snapshots.is_empty()).then(|| wanted.iter().map(find).collect()).flatten()
}

fn missing_of<E>(
    caches: &[PathBuf],
    repo: &CachedRepo,
    commit: &str,
    choose: impl Fn(&[String]) -> Result<Vec<String>, E>,
) -> Vec<String> {
    let snapshots: Vec<LocalSnapshots> =
        caches.iter().filter_map(|cache| LocalSnapshots::open(cache, repo, commit)).collect();
    let wanted = choose(&listing(&snapshots)).unwrap_or_default();
    wanted.into_iter().filter(|file| !snapshots.iter().any(|snapshot| snapshot.find(file).is_some())).collect()
}

/// The commits that a revision means here, as far as is known, the first cache's first.
pub(super) fn commits(caches: &[PathBuf], repo: &CachedRepo) -> Vec<String> {
    if let Some(commit) = &repo.pinned {
        return vec![commit.clone()];
    }
    let mut commits = Vec::new();
    for commit in caches.iter().filter_map(|cache| RepoDir::new(cache, repo).read_ref(&repo.revision)) {
        if !commits.contains(&commit) {
            commits.push(commit);
        }
    }
    commits
}

/// A manifest knows all files of a commit; without one, those that any cache has.
fn listing(snapshots: &[LocalSnapshots]) -> Vec<String> {
    if let Some(manifest) = snapshots.iter().find_map(|snapshot| snapshot.manifest.as_ref()) {
        return manifest.listing.clone();
    }
    let mut names: Vec<String> = snapshots.iter().flat_map(LocalSnapshots::listing).collect();
    names.sort();
    names.dedup();
    names
}
