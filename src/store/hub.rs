//! The files of a repository of the hub: what is here, what is missing, and how it comes.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, TryStreamExt, pin_mut};
use parking_lot::Mutex;

use super::{
    Config, StoreError,
    digest::check,
    layout::RepoDir,
    manifest::{Entry, Manifest},
    metrics::Metrics,
    patience::Patience,
    progress::Tracker,
    shelf::{Checksum, Found, Shelf, commits, complete, missing as missing_of},
    sink::{Sink, Written, blocking},
    source::is_commit,
    transport::{At, Listed, Transport},
};

/// Files that come at once.
const FILES_AT_ONCE: usize = 4;
/// To ask what a branch means now, when all of what it meant last time is here.
const QUICK: Duration = Duration::from_secs(5);
/// A connection that brought so many bytes before it broke was worth it: the count of tries starts again.
const WORTH_IT: u64 = 1 << 20;

/// Which files of a listing are wanted.
pub(super) type Choose<'a> = &'a (dyn Fn(&[String]) -> Result<Vec<String>, StoreError> + Sync);

/// Everything that fetching from the hub needs.
pub(super) struct Hub<'a> {
    pub config: &'a Config,
    pub transport: &'a Transport,
    pub patience: Patience,
    pub metrics: &'a Metrics,
    pub busy: &'a Busy,
}

/// One writer per repository in this process; a second one waits and then finds everything here.
#[derive(Default)]
pub(super) struct Busy(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// What there is to do for one repository.
pub(super) enum Plan {
    /// Nothing.
    Here {
        commit: String,
        found: Vec<Found>,
    },
    Fetch {
        repo: String,
        revision: String,
        commit: String,
        listing: Vec<String>,
        wanted: Vec<Listed>,
    },
}

/// A file that was verified and put among the blobs.
struct Stored {
    file: String,
    blob: String,
    entry: Entry,
}

/// Read-only caches first, then the one that is written.
pub(super) fn caches(config: &Config) -> Vec<PathBuf> {
    config.read_only.iter().chain([&config.cache_dir]).cloned().collect()
}

/// What is here of a revision, as far as this machine knows what that means.
pub(super) fn local(config: &Config, repo: &str, revision: &str, choose: Choose<'_>) -> Option<(String, Vec<Found>)> {
    let caches = caches(config);
    let whole = |commit: String| complete(&caches, repo, &commit, choose).map(|found| (commit, found));
    commits(&caches, repo, revision).into_iter().find_map(whole)
}

/// A file that is here, whether or not the rest of its repository is.
pub(super) fn single(config: &Config, repo: &str, revision: &str, file: &str) -> Option<Found> {
    let caches = caches(config);
    let commits = commits(&caches, repo, revision);
    let shelves = commits.iter().flat_map(|commit| caches.iter().filter_map(|dir| Shelf::open(dir, repo, commit)));
    shelves.into_iter().find_map(|shelf| shelf.find(file))
}

/// What of a revision is not here, for people.
pub(super) fn missing(config: &Config, repo: &str, revision: &str, choose: Choose<'_>) -> String {
    let caches = caches(config);
    let names =
        commits(&caches, repo, revision).into_iter().flat_map(|commit| missing_of(&caches, repo, &commit, choose));
    let names: Vec<String> = names.collect();
    if names.is_empty() { "a complete copy".to_owned() } else { names.join(", ") }
}

// === impl Hub ===

impl Hub<'_> {
    /// Finds out what is to be done. Without the network if the revision is a commit and all of it is here.
    pub(super) async fn plan(&self, repo: &str, revision: &str, choose: Choose<'_>) -> Result<Plan, StoreError> {
        let here = local(self.config, repo, revision, choose);
        let commit = match (is_commit(revision), here) {
            (true, Some((commit, found))) => return Ok(Plan::Here { commit, found }),
            (true, None) => revision.to_owned(),
            (false, Some(here)) => match self.moved(repo, revision, &here.0).await {
                Some(commit) => commit,
                None => return Ok(Plan::Here { commit: here.0, found: here.1 }),
            },
            (false, None) => self.patience.retry(|| self.transport.commit(At { repo, revision })).await?,
        };
        self.plan_commit(repo, revision, commit, choose).await
    }

    /// The commit that a branch means now, if it is another one. The hub may fail: what is here is whole.
    async fn moved(&self, repo: &str, revision: &str, known: &str) -> Option<String> {
        match tokio::time::timeout(QUICK, self.transport.commit(At { repo, revision })).await {
            Ok(Ok(commit)) => (commit != known).then_some(commit),
            Ok(Err(error)) => {
                tracing::warn!(repo, revision, commit = known, %error, "using what is here: the hub did not answer");
                None
            }
            Err(_) => {
                tracing::warn!(repo, revision, commit = known, "using what is here: the hub is slow");
                None
            }
        }
    }

    async fn plan_commit(
        &self,
        repo: &str,
        revision: &str,
        commit: String,
        choose: Choose<'_>,
    ) -> Result<Plan, StoreError> {
        if let Some(found) = complete(&caches(self.config), repo, &commit, choose) {
            self.remember(repo, revision, &commit).await;
            return Ok(Plan::Here { commit, found });
        }
        let at = At { repo, revision: &commit };
        let files = self.patience.retry(|| self.transport.list(at)).await?;
        let listing: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        let chosen = choose(&listing)?;
        if let Some(file) = chosen.iter().find(|file| !listing.contains(file)) {
            return Err(StoreError::NoFile { source_name: at.to_string(), file: file.clone() });
        }
        let wanted = files.into_iter().filter(|file| chosen.contains(&file.path)).collect();
        Ok(Plan::Fetch { repo: repo.to_owned(), revision: revision.to_owned(), commit, listing, wanted })
    }

    /// Notes what a branch means. A cache that cannot be written does not matter here: nothing is missing.
    async fn remember(&self, repo: &str, revision: &str, commit: &str) {
        let (dir, revision, commit) = (self.dir(repo), revision.to_owned(), commit.to_owned());
        if let Err(error) = blocking(move || dir.write_ref(&revision, &commit)).await {
            tracing::debug!(%error, "cannot note what a branch means");
        }
    }

    /// Brings the wanted files here and puts them in place; the manifest is written last.
    pub(super) async fn fetch(
        &self,
        (repo, revision, commit): (&str, &str, &str),
        listing: &[String],
        wanted: &[Listed],
        tracker: &Tracker<'_>,
    ) -> Result<Vec<Found>, StoreError> {
        let turn = self.busy.turn(repo);
        let _turn = turn.lock().await;
        let names = |_: &[String]| Ok::<_, StoreError>(wanted.iter().map(|file| file.path.clone()).collect());
        if let Some(found) = complete(&caches(self.config), repo, commit, names) {
            found.iter().for_each(|found| arrived(tracker, &found.file, found.size));
            return Ok(found);
        }
        self.open(repo, commit, listing).await?;
        let at = At { repo, revision: commit };
        let files: Vec<_> = wanted.iter().map(|file| self.file(at, file, tracker).boxed()).collect();
        let stored = futures::stream::iter(files).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        self.publish(repo, revision, commit, stored).await
    }

    /// Notes the listing before the first file, so that a part of a commit is never taken for the whole.
    async fn open(&self, repo: &str, commit: &str, listing: &[String]) -> Result<(), StoreError> {
        let (dir, path) = (self.dir(repo), self.dir(repo).manifest(commit));
        let manifest = Manifest::new(repo, commit, listing.to_vec());
        let work = move || {
            dir.sweep();
            if Manifest::read(&path).is_none() { manifest.write(&path) } else { Ok(()) }
        };
        blocking(work).await.map_err(StoreError::Cache)
    }

    /// One file: taken from disk if it is there and right, else downloaded, and once more if it arrives wrong.
    async fn file(&self, at: At<'_>, file: &Listed, tracker: &Tracker<'_>) -> Result<Stored, StoreError> {
        let checksum = self.patience.retry(|| self.transport.checksum(at, file)).await?;
        if let Some(sha256) = self.have(at, file, &checksum).await {
            arrived(tracker, &file.path, file.size);
            return Ok(Stored::new(file, &checksum, sha256));
        }
        let sha256 = match self.download(at, file, &checksum, tracker).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::warn!(%error, "fetching it again");
                self.download(at, file, &checksum, tracker).await?
            }
            other => other?,
        };
        tracker.file_done();
        Ok(Stored::new(file, &checksum, sha256))
    }

    /// The sha256 of a blob that is here and right, left by another tool or by a fetch that did not end.
    async fn have(&self, at: At<'_>, file: &Listed, checksum: &Checksum) -> Option<String> {
        let (path, checksum, size) = (self.dir(at.repo).blob(checksum.name()), checksum.clone(), file.size);
        let verdict = blocking(move || check(&path, checksum, size)).await.ok()?;
        verdict.inspect_err(|reason| tracing::warn!(file = file.path, reason, "a file of the cache is damaged")).ok()
    }

    /// Downloads a file into its place among the blobs.
    async fn download(
        &self,
        at: At<'_>,
        file: &Listed,
        checksum: &Checksum,
        tracker: &Tracker<'_>,
    ) -> Result<String, StoreError> {
        let dir = self.dir(at.repo);
        let mut sink = Sink::open(dir.clone(), checksum.clone(), file.size).await.map_err(StoreError::Cache)?;
        let outcome = self.pour(at, file, &mut sink, tracker).await;
        let received = sink.received;
        let written = match outcome {
            Ok(()) => sink.close().await.map_err(StoreError::Cache)?,
            Err(error) => {
                tracker.take_back(received);
                return Err(error);
            }
        };
        place(dir, checksum, written).await?.map_err(|reason| {
            tracker.take_back(received);
            corrupt(at, file, reason)
        })
    }

    /// Pours a file into the sink, over as many connections as it takes.
    async fn pour(&self, at: At<'_>, file: &Listed, sink: &mut Sink, tracker: &Tracker<'_>) -> Result<(), StoreError> {
        let mut tries = 0;
        while sink.received < file.size {
            let before = sink.received;
            let error = match self.connection(at, file, sink, tracker).await {
                Ok(()) => break,
                Err(error) => error,
            };
            tries = if sink.received >= before + WORTH_IT { 1 } else { tries + 1 };
            self.patience.pause(tries, error).await?;
            tracing::info!(file = file.path, from_bytes = sink.received, bytes = file.size, "going on");
        }
        Ok(())
    }

    /// Pours what one connection brings. `Ok` means that no further one is needed: the file is complete, or the disk
    /// failed, which closing the sink will tell.
    async fn connection(
        &self,
        at: At<'_>,
        file: &Listed,
        sink: &mut Sink,
        tracker: &Tracker<'_>,
    ) -> Result<(), StoreError> {
        let counter = self.metrics.bytes.with_label_values(&["hf"]);
        let chunks = self.transport.stream(at, file, sink.received).await?;
        pin_mut!(chunks);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            let bytes = chunk.len() as u64;
            if sink.received + bytes > file.size {
                return Err(corrupt(at, file, "more bytes than listed".to_owned()));
            }
            counter.inc_by(bytes);
            tracker.add(&file.path, bytes);
            if !sink.push(chunk).await {
                return Ok(());
            }
        }
        match sink.received == file.size {
            true => Ok(()),
            false => Err(self.transport.unreachable(at, "ended the transfer too early", None)),
        }
    }

    /// Links, then the reference, then the manifest.
    async fn publish(
        &self,
        repo: &str,
        revision: &str,
        commit: &str,
        stored: Vec<Stored>,
    ) -> Result<Vec<Found>, StoreError> {
        let (dir, cache) = (self.dir(repo), self.config.cache_dir.clone());
        let (repo, revision, commit) = (repo.to_owned(), revision.to_owned(), commit.to_owned());
        let work = move || {
            let path = dir.manifest(&commit);
            let mut manifest = Manifest::read(&path).unwrap_or_else(|| Manifest::new(&repo, &commit, Vec::new()));
            for Stored { file, blob, .. } in &stored {
                dir.link(&commit, file, blob)?;
            }
            dir.write_ref(&revision, &commit)?;
            manifest.files.extend(stored.iter().map(|stored| (stored.file.clone(), stored.entry.clone())));
            manifest.write(&path)?;
            let shelf = Shelf::open(&cache, &repo, &commit);
            let find = |stored: &Stored| shelf.as_ref().and_then(|shelf| shelf.find(&stored.file));
            stored.iter().map(find).collect::<Option<Vec<_>>>().ok_or_else(|| std::io::ErrorKind::NotFound.into())
        };
        blocking(work).await.map_err(StoreError::Cache)
    }

    fn dir(&self, repo: &str) -> RepoDir {
        RepoDir::new(&self.config.cache_dir, repo)
    }
}

/// Gives a written file its name, if it is what it should be.
async fn place(dir: RepoDir, checksum: &Checksum, written: Written) -> Result<Result<String, String>, StoreError> {
    let blob = dir.blob(checksum.name());
    match written.verdict {
        Err(reason) => Ok(Err(reason)),
        Ok(sha256) => {
            let persist = move || written.file.persist(blob).map_err(|error| error.error);
            blocking(persist).await.map_err(StoreError::Cache)?;
            Ok(Ok(sha256))
        }
    }
}

fn arrived(tracker: &Tracker<'_>, file: &str, bytes: u64) {
    tracker.add(file, bytes);
    tracker.file_done();
}

fn corrupt(at: At<'_>, file: &Listed, reason: String) -> StoreError {
    StoreError::Corrupt { source_name: at.to_string(), file: file.path.clone(), reason }
}

// === impl Busy ===

impl Busy {
    fn turn(&self, repo: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.0.lock().entry(repo.to_owned()).or_default().clone()
    }
}

// === impl Stored ===

impl Stored {
    fn new(file: &Listed, checksum: &Checksum, sha256: String) -> Self {
        let blob = checksum.name().to_owned();
        Self { file: file.path.clone(), blob, entry: Entry { size: file.size, sha256 } }
    }
}
