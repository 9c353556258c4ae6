//! Checks what lies on disk against what it should be.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    EmbeddedModel, Provenance, Source, Store, StoreError, Verify,
    cached_repo::CachedRepo,
    digest::check,
    files::blocking,
    folder,
    layout::RepoDir,
    snapshots::{LocalSnapshots, commits},
};
use crate::model::{Location, ModelFiles};

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileReport {
    pub file: String,
    /// The commit that it belongs to, where there is one.
    pub revision: Option<String>,
    /// Bytes that should be there, or that are there where nobody knows better.
    pub bytes: u64,
    #[serde(flatten)]
    pub state: FileState,
}

/// Whether a file is what it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum FileState {
    /// Size and checksum are right.
    Whole,
    Missing,
    /// With what is wrong.
    Damaged(String),
    /// Nothing is known that it could be compared with, as in a folder.
    Unknown,
}

/// A file that is to be checked.
struct Suspect {
    file: String,
    bytes: Option<u64>,
}

// === impl FileReport ===

impl FileReport {
    /// Whether somebody should do something about it.
    pub fn bad(&self) -> bool {
        matches!(self.state, FileState::Missing | FileState::Damaged(_))
    }
}

// === impl Store ===

impl Store {
    /// Compares everything that is here of a source with its manifest, or with the names of its blobs.
    pub async fn verify(&self, source: &Source) -> Result<Vec<FileReport>, StoreError> {
        match source {
            Source::Embedded(name) => Ok(report_embedded(self.embedded(name)?)),
            Source::Folder(folder) => report_folder(folder),
            _ => match CachedRepo::of(source) {
                Some(repo) => report_repo(self.caches(source), repo).await,
                None => Ok(Vec::new()),
            },
        }
    }

    /// Puts every damaged file of a source aside, in the cache that is written, so that the next fetch brings it anew: a
    /// fetch alone compares sizes. Reads all of it. How many there were.
    pub async fn put_damaged_aside(&self, source: &Source) -> Result<usize, StoreError> {
        let Some(repo) = CachedRepo::of(source) else { return Ok(0) };
        let cache = self.cache(source).to_owned();
        blocking(move || Ok(put_aside(&cache, &repo))).await.map_err(StoreError::Cache)
    }

    /// Reads the files of a model and holds them against what their place said of them, where `store.verify` is `load`.
    /// `parts` are its sources, `fetched` is what [`Self::fetch`] said of them. What is damaged is put aside, so that the
    /// next fetch brings it anew; in a cache that is only read it stays.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]. Of files in folders, and inside this program, nothing is known, and nothing is said.
    pub async fn check_load(
        &self,
        parts: &[(String, Source)],
        fetched: &BTreeMap<String, Provenance>,
        files: &ModelFiles,
    ) -> Result<(), StoreError> {
        if self.0.config.verify != Verify::Load {
            return Ok(());
        }
        for (part, source) in parts {
            let commit = fetched.get(part).and_then(|from| from.commit.clone());
            let (Some(repo), Some(commit)) = (CachedRepo::of(source), commit) else { continue };
            let caches = self.caches(source);
            let only_read: Vec<PathBuf> = self.only_read().cloned().collect();
            let located = files.iter().filter(|(of, ..)| of == part);
            let located = located.filter_map(|(_, file, location)| match location {
                Location::Disk(path) => Some((file.to_owned(), path.clone())),
                Location::Embedded(_) | Location::Ahead { .. } => None,
            });
            let located: Vec<(String, PathBuf)> = located.collect();
            let work = move || Ok(check_files(&caches, &only_read, &repo, &commit, located));
            self.noting(source, blocking(work).await.map_err(StoreError::Cache).flatten())?;
        }
        Ok(())
    }

    /// As [`Self::verify`], of everything in every cache, each file with the name of its repository.
    pub async fn verify_all(&self) -> Result<Vec<(String, FileReport)>, StoreError> {
        report_all(self.every_cache()).await
    }
}

fn report_embedded(model: &EmbeddedModel) -> Vec<FileReport> {
    let report = |(file, bytes): &(&str, &[u8])| FileReport {
        file: (*file).to_owned(),
        revision: None,
        bytes: bytes.len() as u64,
        state: FileState::Whole,
    };
    model.files.iter().map(report).collect()
}

fn report_folder(path: &Path) -> Result<Vec<FileReport>, StoreError> {
    let report = |file: String| {
        let bytes = folder::file(path, &file)?.size;
        Ok(FileReport { file, revision: None, bytes, state: FileState::Unknown })
    };
    folder::listing(path)?.into_iter().map(report).collect()
}

/// Every commit of a source in every cache. Reads all of it.
async fn report_repo(caches: Vec<PathBuf>, repo: CachedRepo) -> Result<Vec<FileReport>, StoreError> {
    let work = move || {
        let mut reports = Vec::new();
        for commit in commits(&caches, &repo) {
            for snapshots in caches.iter().filter_map(|cache| LocalSnapshots::open(cache, &repo, &commit)) {
                reports.extend(suspects(&snapshots).into_iter().map(|suspect| examine(&snapshots, &commit, suspect)));
            }
        }
        Ok(reports)
    };
    blocking(work).await.map_err(StoreError::Cache)
}

/// Every commit of every repository in every cache, each file with the name of its repository. Reads all of it.
async fn report_all(caches: Vec<PathBuf>) -> Result<Vec<(String, FileReport)>, StoreError> {
    let work = move || {
        let mut reports = Vec::new();
        for cache in &caches {
            for repo in CachedRepo::all(cache) {
                let commits = RepoDir::new(cache, &repo).commits();
                let here =
                    commits.iter().filter_map(|commit| Some((commit, LocalSnapshots::open(cache, &repo, commit)?)));
                for (commit, snapshots) in here {
                    let examined = suspects(&snapshots).into_iter().map(|suspect| examine(&snapshots, commit, suspect));
                    reports.extend(examined.map(|report| (repo.name.clone(), report)));
                }
            }
        }
        Ok(reports)
    };
    blocking(work).await.map_err(StoreError::Cache)
}

/// All of them are read, and every damaged one is put aside; the error names the first.
fn check_files(
    caches: &[PathBuf],
    only_read: &[PathBuf],
    repo: &CachedRepo,
    commit: &str,
    files: Vec<(String, PathBuf)>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for (file, path) in files {
        let Some(cache) = caches.iter().find(|cache| path.starts_with(cache)) else { continue };
        let Some(snapshots) = LocalSnapshots::open(cache, repo, commit) else { continue };
        let bytes = snapshots.manifest.as_ref().and_then(|manifest| Some(manifest.files.get(&file)?.size));
        let FileState::Damaged(reason) = examine(&snapshots, commit, Suspect { file: file.clone(), bytes }).state
        else {
            continue;
        };
        tracing::warn!(source = repo.source, file, reason, "a file of the cache is damaged");
        let aside = !only_read.contains(cache);
        if aside {
            quarantine(&RepoDir::new(cache, repo), &path);
        }
        outcome = outcome.and(Err(StoreError::Damaged { source_name: repo.source.clone(), file, reason, aside }));
    }
    outcome
}

/// The bytes lie among the blobs, under their checksum.
fn quarantine(dir: &RepoDir, path: &Path) -> bool {
    let Ok(blob) = path.canonicalize() else { return false };
    let name = blob.file_name().and_then(|name| name.to_str());
    name.inspect(|name| dir.quarantine(&blob, name)).is_some()
}

fn put_aside(cache: &Path, repo: &CachedRepo) -> usize {
    let (dir, mut aside) = (RepoDir::new(cache, repo), 0);
    let commits = dir.commits();
    let here = commits.iter().filter_map(|commit| Some((commit, LocalSnapshots::open(cache, repo, commit)?)));
    for (commit, snapshots) in here {
        for suspect in suspects(&snapshots) {
            let path = snapshots.path(&suspect.file);
            let damaged = matches!(examine(&snapshots, commit, suspect).state, FileState::Damaged(_));
            aside += usize::from(damaged && quarantine(&dir, &path));
        }
    }
    aside
}

/// The files of the manifest, or all that lie there.
fn suspects(snapshots: &LocalSnapshots) -> Vec<Suspect> {
    match &snapshots.manifest {
        Some(manifest) => {
            let suspect = |(file, entry): (&String, &super::manifest::Entry)| Suspect {
                file: file.clone(),
                bytes: Some(entry.size),
            };
            manifest.files.iter().map(suspect).collect()
        }
        None => snapshots.listing().into_iter().map(|file| Suspect { file, bytes: None }).collect(),
    }
}

fn examine(snapshots: &LocalSnapshots, commit: &str, Suspect { file, bytes }: Suspect) -> FileReport {
    let meta = std::fs::metadata(snapshots.path(&file));
    let size = bytes.unwrap_or_else(|| meta.as_ref().map_or(0, |meta| meta.len()));
    let state = match (meta, snapshots.checksum(&file)) {
        (Err(_), _) => FileState::Missing,
        (Ok(_), None) => FileState::Unknown,
        (Ok(_), Some(checksum)) => match check(&snapshots.path(&file), checksum, size) {
            Ok(Ok(_)) => FileState::Whole,
            Ok(Err(reason)) => FileState::Damaged(reason),
            Err(error) => FileState::Damaged(error.to_string()),
        },
    };
    FileReport { revision: Some(commit.to_owned()), file, bytes: size, state }
}
