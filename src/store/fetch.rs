//! The files of a source that is fetched: what is here, what is missing, and how it comes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use parking_lot::Mutex;

use super::{
    StoreError,
    archive::Archive,
    cached_repo::CachedRepo,
    digest::{Checksum, check},
    download_lock::DownloadLock,
    evict::fit,
    files::blocking,
    layout::RepoDir,
    manifest::{Entry, Manifest},
    metrics::Metrics,
    origin::{Listed, Origin},
    partial::sweep,
    pins::CommitPin,
    preflight::{check_room, need},
    progress::{Phase, Progress, Tracker},
    sink::{Buffers, Sink, Written},
    snapshots::{Found, LocalSnapshots, complete, local},
    transfer::{Limits, Transfer},
    unpack::Packed,
};

/// Files that come at once.
pub(super) const FILES_AT_ONCE: usize = 4;
/// To ask what a branch means now, when all of what it meant last time is here.
const QUICK: Duration = Duration::from_secs(5);

/// Which files of a listing are wanted.
pub(super) type Choose<'a> = &'a (dyn Fn(&[String]) -> Result<Vec<String>, StoreError> + Sync);

/// Everything that fetching one source needs.
pub(super) struct Fetcher<'a> {
    /// The cache that is written.
    pub cache: &'a Path,
    /// All caches, in the order in which they are looked at.
    pub caches: Vec<PathBuf>,
    pub repo: CachedRepo,
    /// A metric label.
    pub scheme: &'static str,
    pub origin: Box<dyn Origin + 'a>,
    /// The one file of the origin has to be unpacked.
    pub archive: Option<Archive>,
    pub limits: &'a Limits,
    pub buffers: &'a Buffers,
    /// Bytes of disk that stay free.
    pub reserve: u64,
    /// Bytes that the cache may take.
    pub quota: Option<u64>,
    pub metrics: &'a Metrics,
    pub busy: &'a Busy,
    /// What was fetched, marked as used. Locked to put it there and to take it out.
    pub pin: Mutex<Option<CommitPin>>,
}

/// One writer per repository in this process; a second one waits and then finds everything here.
#[derive(Default)]
pub(super) struct Busy(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// What there is to do for one repository.
pub(super) enum Plan {
    /// Nothing.
    Here { commit: String, found: Vec<Found> },
    Fetch {
        commit: String,
        listing: Vec<String>,
        wanted: Vec<Listed>,
        /// Those that somebody looked at before, by name: they need not come again.
        seen: BTreeMap<String, Bytes>,
    },
}

/// A file that was verified and put among the blobs.
struct Stored {
    file: String,
    blob: String,
    entry: Entry,
}

// === impl Fetcher ===

impl Fetcher<'_> {
    /// Finds out what is to be done. Without the network if the revision is a commit and all of it is here.
    pub(super) async fn plan(&self, choose: Choose<'_>) -> Result<Plan, StoreError> {
        let here = local(&self.caches, &self.repo, choose);
        let commit = match (&self.repo.pinned, here) {
            (Some(_), Some((commit, found))) => return Ok(Plan::Here { commit, found }),
            (Some(commit), None) => commit.clone(),
            (None, Some(here)) => match self.moved(&here.0).await {
                Some(commit) => commit,
                None => return Ok(Plan::Here { commit: here.0, found: here.1 }),
            },
            (None, None) => self.limits.retry_policy.retry(|| self.origin.commit()).await?,
        };
        self.plan_commit(commit, choose).await
    }

    /// The commit that a branch means now, if it is another one. The hub may fail: what is here is whole.
    async fn moved(&self, known: &str) -> Option<String> {
        let source = &self.repo.source;
        match tokio::time::timeout(QUICK, self.origin.commit()).await {
            Ok(Ok(commit)) => (commit != known).then_some(commit),
            Ok(Err(error)) => {
                tracing::warn!(source, commit = known, %error, "using what is here: nobody knows what is new");
                None
            }
            Err(_) => {
                tracing::warn!(source, commit = known, "using what is here: it takes too long to ask what is new");
                None
            }
        }
    }

    async fn plan_commit(&self, commit: String, choose: Choose<'_>) -> Result<Plan, StoreError> {
        if let Some(found) = complete(&self.caches, &self.repo, &commit, choose) {
            self.remember(&commit).await;
            return Ok(Plan::Here { commit, found });
        }
        let files = self.limits.retry_policy.retry(|| self.origin.list(&commit)).await?;
        let listing: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        let chosen = choose(&listing)?;
        if let Some(file) = chosen.iter().find(|file| !listing.contains(file)) {
            return Err(StoreError::NoFile { source_name: self.repo.source.clone(), file: file.clone() });
        }
        let wanted = files.into_iter().filter(|file| chosen.contains(&file.path)).collect();
        Ok(Plan::Fetch { commit, listing, wanted, seen: BTreeMap::new() })
    }

    /// Notes what a branch means. A cache that cannot be written does not matter here: nothing is missing.
    async fn remember(&self, commit: &str) {
        let (dir, revision, commit) = (self.dir(), self.repo.revision.clone(), commit.to_owned());
        if let Err(error) = blocking(move || dir.write_ref(&revision, &commit)).await {
            tracing::debug!(%error, "cannot note what a branch means");
        }
    }

    /// Brings the wanted files here and puts them in place; the manifest is written last.
    pub(super) async fn fetch(
        &self,
        commit: &str,
        listing: &[String],
        wanted: &[Listed],
        tracker: &Tracker<'_>,
    ) -> Result<Vec<Found>, StoreError> {
        let turn = self.busy.turn(&self.repo.folder);
        let _turn = turn.lock().await;
        tracker.enter(Phase::Checking);
        if let Some(found) = self.arrived(commit, wanted, tracker) {
            return Ok(found);
        }
        let lock = self.lock(tracker).await?;
        // Whoever had it before may have brought what is wanted here.
        if let Some(found) = self.arrived(commit, wanted, tracker) {
            return Ok(found);
        }
        let alone = async {
            let found = self.fetch_alone(commit, listing, wanted, tracker).await?;
            // Before the lock is given back, so that there is no moment in which the files look idle.
            let paths: Vec<PathBuf> = found.iter().map(|found| found.path.clone()).collect();
            let pin = blocking(move || Ok(CommitPin::of(paths.iter().map(PathBuf::as_path)))).await;
            *self.pin.lock() = Some(pin.map_err(StoreError::Cache)?);
            Ok(found)
        };
        lock.keep(|| tracker.now(), alone).await
    }

    /// As [`Self::fetch`], while nobody else does the same.
    async fn fetch_alone(
        &self,
        commit: &str,
        listing: &[String],
        wanted: &[Listed],
        tracker: &Tracker<'_>,
    ) -> Result<Vec<Found>, StoreError> {
        tracker.enter(Phase::Checking);
        self.open(commit, listing).await?;
        self.check_room(wanted).await?;
        tracker.enter(Phase::Downloading);
        let files: Vec<_> = wanted.iter().map(|file| self.file(commit, file, tracker).boxed()).collect();
        let stored = futures::stream::iter(files).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        match self.archive {
            Some(archive) => {
                tracker.enter(Phase::Unpacking);
                self.unpack(archive, commit, stored).await
            }
            None => {
                tracker.enter(Phase::Publishing);
                self.publish(commit, stored).await
            }
        }
    }

    /// The listing of an origin whose one file is an archive that has to be fetched before anybody can choose.
    pub(super) fn packed(&self, listing: &[String]) -> Option<Vec<String>> {
        let archive = self.archive.is_some() && matches!(listing, [one] if Archive::of_name(one).is_some());
        archive.then(|| listing.to_vec())
    }

    /// What a fetch puts in place: what is wanted, or, once an archive is unpacked, everything that was in it.
    fn published(&self, listing: &[String], wanted: &[Listed]) -> Vec<String> {
        match self.archive.is_some() && self.packed(listing).is_none() {
            true => listing.to_vec(),
            false => wanted.iter().map(|file| file.path.clone()).collect(),
        }
    }

    /// Unpacks the archive that was stored, in place of its files.
    async fn unpack(&self, archive: Archive, commit: &str, stored: Vec<Stored>) -> Result<Vec<Found>, StoreError> {
        let (dir, repo, commit) = (self.dir(), self.repo.clone(), commit.to_owned());
        let (cache, quota, reserve) = (self.cache.to_owned(), self.quota, self.reserve);
        let work = move || {
            let Some(Stored { blob, .. }) = stored.into_iter().next() else { return Ok(Ok(Vec::new())) };
            let source = repo.source.clone();
            let room = |bytes| {
                quota.map_or(Ok(()), |quota| fit(&cache, bytes, quota, &source))?;
                check_room(&cache, bytes, reserve, &source)
            };
            Ok(Packed { dir, repo, commit, archive, blob }.unpack(room))
        };
        blocking(work).await.map_err(StoreError::Cache)?
    }

    /// What is wanted, if another writer brought it here in the meantime.
    fn arrived(&self, commit: &str, wanted: &[Listed], tracker: &Tracker<'_>) -> Option<Vec<Found>> {
        let names = |listing: &[String]| Ok::<_, StoreError>(self.published(listing, wanted));
        let found = complete(&self.caches, &self.repo, commit, names)?;
        found.iter().for_each(|found| arrived(tracker, &found.file, found.size));
        Some(found)
    }

    /// Waits for those who write here already.
    async fn lock(&self, tracker: &Tracker<'_>) -> Result<DownloadLock, StoreError> {
        let told = AtomicBool::new(false);
        let theirs = |owner: &str, progress: &Progress| {
            if !told.swap(true, Ordering::Relaxed) {
                tracing::info!(source = self.repo.source, owner, "waiting for another process that fetches the same");
            }
            tracker.wait_for(progress);
        };
        DownloadLock::acquire(&self.dir(), theirs).await.map_err(StoreError::Cache)
    }

    async fn check_room(&self, wanted: &[Listed]) -> Result<(), StoreError> {
        let (dir, wanted, reserve) = (self.dir(), wanted.to_vec(), self.reserve);
        let (source, packed) = (self.repo.source.clone(), self.archive.is_some());
        let work = move || Ok(check_room(&dir.blobs(), need(&dir, &wanted, packed), reserve, &source));
        blocking(work).await.map_err(StoreError::Cache)?
    }

    /// Notes the listing before the first file, so that a part of a commit is never taken for the whole.
    async fn open(&self, commit: &str, listing: &[String]) -> Result<(), StoreError> {
        let (dir, path) = (self.dir(), self.dir().manifest(commit));
        let manifest = Manifest::new(&self.repo.name, commit, listing.to_vec());
        let work = move || {
            std::fs::create_dir_all(dir.blobs())?;
            sweep(&dir);
            if Manifest::read(&path).is_none() { manifest.write(&path) } else { Ok(()) }
        };
        blocking(work).await.map_err(StoreError::Cache)
    }

    /// One file: taken from disk if it is there and right, else downloaded, and once more if it arrives wrong.
    async fn file(&self, commit: &str, file: &Listed, tracker: &Tracker<'_>) -> Result<Stored, StoreError> {
        let checksum = match &file.checksum {
            Some(checksum) => checksum.clone(),
            None => self.limits.retry_policy.retry(|| self.origin.checksum(commit, file)).await?,
        };
        if let Some(sha256) = self.have(file, &checksum).await {
            arrived(tracker, &file.path, file.size);
            return Ok(Stored::new(file, &checksum, sha256));
        }
        let sha256 = match self.download(commit, file, &checksum, tracker).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::warn!(%error, "fetching it again");
                self.download(commit, file, &checksum, tracker).await?
            }
            other => other?,
        };
        tracker.file_done();
        Ok(Stored::new(file, &checksum, sha256))
    }

    /// The sha256 of a blob that is here and right, left by another tool or by a fetch that did not end. One that is
    /// not right is put aside.
    async fn have(&self, file: &Listed, checksum: &Checksum) -> Option<String> {
        let (dir, checksum, size) = (self.dir(), checksum.clone(), file.size);
        let path = dir.blob(checksum.name());
        let verdict = blocking(move || {
            let verdict = check(&path, checksum.clone(), size)?;
            Ok(verdict.inspect_err(|_| dir.quarantine(&path, checksum.name())))
        });
        let damaged = |reason: &String| tracing::warn!(file = file.path, reason, "a file of the cache is damaged");
        verdict.await.ok()?.inspect_err(damaged).ok()
    }

    /// Downloads a file into its place among the blobs.
    async fn download(
        &self,
        commit: &str,
        file: &Listed,
        checksum: &Checksum,
        tracker: &Tracker<'_>,
    ) -> Result<String, StoreError> {
        let sink = Sink::open(self.dir(), checksum.clone(), file.size, self.buffers.clone());
        let sink = sink.await.map_err(StoreError::Cache)?;
        tracker.here(&file.path, sink.there.bytes());
        let transfer = Transfer {
            origin: &*self.origin,
            limits: self.limits,
            commit,
            file,
            sink: &sink,
            tracker,
            counter: self.metrics.bytes.with_label_values(&[self.scheme]),
            source_name: &self.repo.source,
        };
        let outcome = transfer.run().await;
        // Also after a failure: what came is noted for the next one.
        let written = sink.close().await.map_err(StoreError::Cache)?;
        outcome?;
        self.settle(file, checksum, written).await.inspect_err(|_| tracker.take_back(file.size))
    }

    /// Gives a written file its name if it is what it should be, and else puts it aside.
    async fn settle(&self, file: &Listed, checksum: &Checksum, written: Written) -> Result<String, StoreError> {
        let (dir, checksum, Written { partial, verdict }) = (self.dir(), checksum.clone(), written);
        let corrupt = |reason| {
            let (source_name, file) = (self.repo.source.clone(), file.path.clone());
            StoreError::Corrupt { source_name, file, reason }
        };
        let verdict = verdict.ok_or_else(|| corrupt("not all of its bytes came".to_owned()))?;
        let work = move || {
            match &verdict {
                Ok(_) => partial.persist(&dir.blob(checksum.name()))?,
                Err(_) => partial.quarantine(&dir, &checksum),
            }
            Ok(verdict)
        };
        blocking(work).await.map_err(StoreError::Cache)?.map_err(corrupt)
    }

    /// Links, then the reference, then the manifest.
    async fn publish(&self, commit: &str, stored: Vec<Stored>) -> Result<Vec<Found>, StoreError> {
        let (dir, cache) = (self.dir(), self.cache.to_owned());
        let (repo, commit) = (self.repo.clone(), commit.to_owned());
        let work = move || {
            let path = dir.manifest(&commit);
            let mut manifest = Manifest::read(&path).unwrap_or_else(|| Manifest::new(&repo.name, &commit, Vec::new()));
            for Stored { file, blob, .. } in &stored {
                dir.link(&commit, file, blob)?;
            }
            dir.write_ref(&repo.revision, &commit)?;
            manifest.files.extend(stored.iter().map(|stored| (stored.file.clone(), stored.entry.clone())));
            manifest.write(&path)?;
            let snapshots = LocalSnapshots::open(&cache, &repo, &commit);
            let find = |stored: &Stored| snapshots.as_ref().and_then(|snapshots| snapshots.find(&stored.file));
            stored.iter().map(find).collect::<Option<Vec<_>>>().ok_or_else(|| std::io::ErrorKind::NotFound.into())
        };
        blocking(work).await.map_err(StoreError::Cache)
    }

    fn dir(&self) -> RepoDir {
        RepoDir::new(self.cache, &self.repo)
    }
}

fn arrived(tracker: &Tracker<'_>, file: &str, bytes: u64) {
    tracker.here(file, bytes);
    tracker.file_done();
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
