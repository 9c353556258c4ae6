//! The files of one part: what of them is here, and how the rest comes.

use std::{collections::BTreeMap, path::PathBuf};

use parking_lot::Mutex;

use super::{
    CommitPin, FileOrigin, Phase, Progress, Source, Store, StoreError,
    bucket::Objects,
    cached_repo::CachedRepo,
    fetch::{Choose, Fetcher, Plan},
    folder,
    handle::Inner,
    hub::HubRepo,
    link::Where,
    origin::Origin,
    progress::Tracker,
    snapshots::{self, Found},
    transport::Transport,
    web::WebFile,
    xet::Xet,
};
use crate::model::Location;

/// Bytes of a file that says what the others are, at most.
pub(super) const SMALL: u64 = 1 << 20;

/// What there is to do for one part.
pub(super) struct PartPlan {
    pub part: String,
    pub source: Source,
    pub step: Step,
}

/// The files of one part, as far as they are here, and how to get the rest.
pub(super) enum Step {
    Here(Part),
    Cached(Plan),
}

/// The files of one part.
pub(super) struct Part {
    pub commit: Option<String>,
    pub from: FileOrigin,
    pub files: Vec<(String, Location, u64)>,
    /// Of what was fetched just now.
    pub pin: Option<CommitPin>,
}

// === impl Store ===

impl Store {
    /// What is to be done for one part.
    pub(super) async fn plan_part(&self, source: &Source, choose: Choose<'_>) -> Result<Step, StoreError> {
        let Some(repo) = CachedRepo::of(source) else { return self.in_place(source, choose).map(Step::Here) };
        if !self.0.config.offline {
            let fetcher = self.fetcher(source, repo.clone(), self.0.config.reserve)?;
            let through = |listing: &[String]| fetcher.packed(listing).map_or_else(|| choose(listing), Ok);
            let plan = fetcher.plan(&through).await?;
            if matches!(plan, Plan::Fetch { .. }) {
                self.explain(source, &repo);
            }
            return Ok(Step::Cached(plan));
        }
        match snapshots::local(&self.caches(source), &repo, choose) {
            Some((commit, found)) => Ok(Step::Cached(Plan::Here { commit, found })),
            None => Err(self.missing(source, &repo, choose)),
        }
    }

    /// `reserve`: bytes of disk that stay free.
    pub(super) async fn carry_out_part(
        &self,
        source: &Source,
        step: Step,
        choose: Choose<'_>,
        tracker: &Tracker<'_>,
        reserve: u64,
    ) -> Result<Part, StoreError> {
        match step {
            Step::Here(part) => Ok(part),
            Step::Cached(Plan::Here { commit, found }) => Ok(self.cached_part(commit, found)),
            Step::Cached(Plan::Fetch { commit, listing, wanted, seen }) => {
                let bytes: u64 = wanted.iter().map(|file| file.size).sum();
                tracing::info!(%source, commit, files = wanted.len(), bytes, "downloading");
                let mut running = self.0.metrics.start();
                let repo = CachedRepo::of(source).ok_or_else(|| StoreError::no_file(source, "anything"))?;
                let fetcher = self.fetcher(source, repo, reserve)?.knowing(seen);
                let outcome = fetcher.fetch(&commit, &listing, &wanted, tracker).await;
                running.outcome = outcome.as_ref().map_or_else(StoreError::word, |_| "ok");
                let found = match source.archive() {
                    Some(_) => chosen_of(outcome?, source, choose)?,
                    None => outcome?,
                };
                tracing::info!(%source, commit, bytes, seconds = running.since.elapsed().as_secs_f64(), "downloaded");
                let pin = fetcher.pin.lock().take();
                Ok(Part { pin, ..Part::of(Some(commit), FileOrigin::Network, found) })
            }
        }
    }

    pub(super) fn local_part(&self, source: &Source, choose: Choose<'_>) -> Result<Option<Part>, StoreError> {
        let Some(repo) = CachedRepo::of(source) else { return self.in_place(source, choose).map(Some) };
        let here = snapshots::local(&self.caches(source), &repo, choose);
        Ok(here.map(|(commit, found)| self.cached_part(commit, found)))
    }

    pub(super) async fn fetch_one(
        &self,
        source: &Source,
        file: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<PathBuf, StoreError> {
        let choose = |listing: &[String]| match listing.iter().any(|known| known == file) {
            true => Ok(vec![file.to_owned()]),
            false => Err(StoreError::no_file(source, file)),
        };
        progress(Progress::default());
        let plan =
            [PartPlan { part: String::new(), source: source.clone(), step: self.plan_part(source, &choose).await? }];
        let reserve = if self.is_small(&plan[0]) { 0 } else { self.0.config.reserve };
        self.make_room(&plan, reserve).await?;
        let tracker = Tracker::new(start(plan.iter().map(|part| &part.step)), progress);
        let [PartPlan { step, .. }] = plan;
        let part = self.carry_out_part(source, step, &choose, &tracker, reserve).await?;
        match part.files.into_iter().next() {
            Some((_, Location::Disk(path), _)) => Ok(path),
            _ => Err(StoreError::no_file(source, file)),
        }
    }

    /// What was here before anybody was asked.
    fn cached_part(&self, commit: String, found: Vec<Found>) -> Part {
        let read = |found: &Found| self.only_read().any(|cache| found.path.starts_with(cache));
        Part::of(Some(commit), if found.iter().all(read) { FileOrigin::ReadOnly } else { FileOrigin::Cache }, found)
    }

    /// The files of a source that needs no network.
    fn in_place(&self, source: &Source, choose: Choose<'_>) -> Result<Part, StoreError> {
        match source {
            Source::Embedded(name) => {
                let model = self.embedded(name)?;
                let bytes = |file: String| match model.file(&file) {
                    Some(bytes) => Ok((file, Location::Embedded(bytes), bytes.len() as u64)),
                    None => Err(StoreError::no_file(source, &file)),
                };
                let files = choose(&model.listing())?.into_iter().map(bytes).collect::<Result<_, _>>()?;
                Ok(Part { commit: None, from: FileOrigin::Embedded, files, pin: None })
            }
            Source::Folder(folder) => {
                let chosen = choose(&folder::listing(folder)?)?;
                let found = chosen.iter().map(|file| folder::file(folder, file)).collect::<Result<_, _>>()?;
                Ok(Part::of(None, FileOrigin::Folder, found))
            }
            _ => Err(StoreError::Setup(format!("{source} is not read in place"))),
        }
    }

    /// Why a source cannot be had offline.
    fn missing(&self, source: &Source, repo: &CachedRepo, choose: Choose<'_>) -> StoreError {
        let missing = snapshots::missing(&self.caches(source), repo, choose);
        StoreError::Offline { source_name: repo.source.clone(), missing }
    }

    /// Whether so little comes that the reserve is not asked about: what a model needs in all, which is known only
    /// afterwards, is held against it then.
    fn is_small(&self, PartPlan { source, step, .. }: &PartPlan) -> bool {
        let Step::Cached(Plan::Fetch { wanted, .. }) = step else { return true };
        source.archive().is_none() && wanted.iter().all(|file| file.size <= SMALL)
    }

    pub(super) fn fetcher<'a>(
        &'a self,
        source: &'a Source,
        repo: CachedRepo,
        reserve: u64,
    ) -> Result<Fetcher<'a>, StoreError> {
        let Inner { config, metrics, limits, buffers, busy, .. } = &*self.0;
        Ok(Fetcher {
            cache: self.cache(source),
            caches: self.caches(source),
            repo,
            scheme: source.scheme(),
            origin: self.origin(source)?,
            archive: source.archive(),
            limits,
            buffers,
            reserve,
            quota: config.quota,
            metrics,
            busy,
            pin: Mutex::default(),
        })
    }

    /// Where a source is fetched from.
    fn origin<'a>(&'a self, source: &'a Source) -> Result<Box<dyn Origin + 'a>, StoreError> {
        match source {
            Source::Hub { repo, revision } => {
                Ok(Box::new(HubRepo::new(self.transport()?, self.xet(), &self.0.config, repo, revision)))
            }
            Source::Bucket(address) => Ok(Box::new(Objects::below(&self.0.buckets, address))),
            Source::File(link) => match link.location() {
                Some(Where::Bucket(address)) => Ok(Box::new(Objects::one(&self.0.buckets, link, address))),
                Some(Where::Web(url)) => Ok(Box::new(WebFile::new(self.transport()?, link, url))),
                None => Err(StoreError::Setup(format!("{source} is no address"))),
            },
            Source::Embedded(_) | Source::Folder(_) => {
                Err(StoreError::Setup(format!("{source} is read in place and not fetched")))
            }
        }
    }

    /// `None` also where it cannot be set up: nothing depends on it.
    fn xet(&self) -> Option<&Xet> {
        let config = &self.0.config;
        let made = || Xet::new(config).inspect_err(|reason| tracing::warn!(reason, "files come by ranges only")).ok();
        config.xet.then(|| self.0.xet.get_or_init(made).as_ref()).flatten()
    }

    fn transport(&self) -> Result<&Transport, StoreError> {
        match self.0.transport.get() {
            Some(transport) => Ok(transport),
            None => {
                let made = Transport::new(self.0.config.idle_timeout)?;
                Ok(self.0.transport.get_or_init(|| made))
            }
        }
    }
}

// === impl Part ===

impl Part {
    fn of(commit: Option<String>, from: FileOrigin, found: Vec<Found>) -> Self {
        let file = |found: Found| (found.file, Location::Disk(found.path), found.size);
        Self { commit, from, files: found.into_iter().map(file).collect(), pin: None }
    }
}

/// The totals, and what is here already.
pub(super) fn start<'a>(steps: impl Iterator<Item = &'a Step>) -> Progress {
    let mut progress = Progress { phase: Phase::Checking, ..Progress::default() };
    for step in steps {
        let (files, bytes, here) = match step {
            Step::Here(part) => (part.files.len(), part.files.iter().map(|(_, _, bytes)| bytes).sum::<u64>(), true),
            Step::Cached(Plan::Here { found, .. }) => (found.len(), found.iter().map(|found| found.size).sum(), true),
            Step::Cached(Plan::Fetch { wanted, .. }) => {
                (wanted.len(), wanted.iter().map(|file| file.size).sum(), false)
            }
        };
        progress.files_total += files as u64;
        progress.bytes_total += bytes;
        if here {
            progress.files_done += files as u64;
            progress.bytes_done += bytes;
            progress.bytes_here += bytes;
        }
    }
    progress
}

/// Of the files that were in an archive, those that are wanted.
fn chosen_of(found: Vec<Found>, source: &Source, choose: Choose<'_>) -> Result<Vec<Found>, StoreError> {
    let mut found: BTreeMap<String, Found> = found.into_iter().map(|found| (found.file.clone(), found)).collect();
    let wanted = choose(&found.keys().cloned().collect::<Vec<_>>())?;
    wanted.into_iter().map(|file| found.remove(&file).ok_or_else(|| StoreError::no_file(source, &file))).collect()
}
