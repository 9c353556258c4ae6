//! The files of models on this machine: where they come from, and whether they are whole.
//!
//! A [`Source`] says where the files of one part of a model come from. [`Store::fetch`] makes them lie on this machine,
//! verified; [`Store::local`] says what already does, without asking anybody. Look-up order: read-only caches, the
//! writable cache, the network.
//!
//! Correctness rests on four things and on no lock: every writer has a temporary file of its own, what arrives is hashed
//! and compared, a file gets its name by a rename, and the manifest's entry is written last.

mod archive;
mod breaker;
mod bucket;
mod caches;
mod digest;
mod embedded;
mod error;
mod extents;
mod fetch;
mod folder;
mod housekeeping;
mod hub;
mod layout;
mod lease;
mod link;
mod manifest;
mod metrics;
mod origin;
mod owner;
mod partial;
mod patience;
mod place;
mod preflight;
mod progress;
mod shelf;
mod sink;
mod source;
mod space;
mod tidy;
mod transfer;
mod transport;
mod unpack;
mod uses;
mod verify;
mod web;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

pub use embedded::{EMBEDDED, EmbeddedModel};
pub use error::StoreError;
pub use housekeeping::{CachedCommit, CachedModel, Cleared, Doomed};
pub use link::Link;
pub use progress::{Phase, Progress};
pub use source::{Source, SourceError};
pub use uses::Hold;
pub use verify::{FileReport, FileState};

use self::{
    bucket::Objects,
    fetch::{Busy, Choose as Wanted, Fetcher, Plan},
    hub::HubRepo,
    link::Where,
    metrics::Metrics,
    origin::Origin,
    place::Place,
    progress::Tracker,
    shelf::Found,
    sink::Buffers,
    transfer::Limits,
    transport::Transport,
    web::WebFile,
};
pub use crate::remote::Secret;
use crate::{
    model::{LoadError, Location, ModelFiles},
    remote::Buckets,
};

/// What the store needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The hub cache that files are fetched into (`…/hub`), in the hub's own layout.
    pub cache_dir: PathBuf,
    /// Further hub caches that are only read, looked at first.
    pub read_only: Vec<PathBuf>,
    /// Hub caches of other tools, which are only read as well, and need not be there.
    pub other_caches: Vec<PathBuf>,
    /// What is fetched of these sources goes into a cache of its own.
    pub own_caches: BTreeMap<Source, PathBuf>,
    /// Bytes that each cache that is written may take; what was not used for longest makes room.
    pub quota: Option<u64>,
    /// Base address of the hub, and of mirrors that are asked in their order when the one before does not answer or
    /// does not have it.
    pub endpoints: Vec<String>,
    /// Bearer token for gated and private repositories. Only the first endpoint gets it.
    pub token: Option<Secret>,
    /// Never touch the network.
    pub offline: bool,
    /// A transfer without a byte for so long is broken off and resumed.
    pub idle_timeout: std::time::Duration,
    /// A connection that brings fewer bytes per second than this, over the idle time-out, is broken off and resumed.
    pub min_rate: u64,
    /// Tries per range of a file, the first included.
    pub attempts: u32,
    /// Connections that bring files at once, all of them together.
    pub connections: usize,
    /// Bytes of disk that a fetch leaves free.
    pub reserve: u64,
}

/// The store. A clone is the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    config: Config,
    buckets: Buckets,
    embedded: &'static [EmbeddedModel],
    metrics: Metrics,
    limits: Limits,
    buffers: Buffers,
    busy: Busy,
    /// Source → what its last fetch failed with, in a word. Locked for a look-up only.
    failures: Mutex<BTreeMap<Source, &'static str>>,
    /// Made when the network is first needed: it reads the certificates of the system, which takes a while and may fail.
    transport: OnceLock<Transport>,
}

/// Which files a part needs, by its name and the listing of its source; `Family::files` in most cases.
pub type Choose<'a> = dyn Fn(&str, &[String]) -> Result<Vec<String>, LoadError> + Sync + 'a;

/// The files of a model, all parts, on this machine.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    pub files: ModelFiles,
    /// Part → where its files came from.
    pub parts: BTreeMap<String, Provenance>,
    /// Of all files together.
    pub bytes: u64,
    /// Keeps housekeeping away from the files, in this process and in others.
    pub hold: Option<Arc<Hold>>,
}

/// Where the files of one part came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Provenance {
    /// As it is written.
    pub source: String,
    /// A folder and an embedded model have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub from: Whence,
}

/// Where files were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whence {
    /// In this program.
    Embedded,
    /// A folder that is read in place.
    Folder,
    /// A cache that is only read.
    ReadOnly,
    /// The cache that is written.
    Cache,
    /// Fetched just now.
    Network,
}

/// The files of one part, as far as they are here, and how to get the rest.
enum Step {
    Here(Part),
    Cached(Plan),
}

/// The files of one part.
struct Part {
    commit: Option<String>,
    from: Whence,
    files: Vec<(String, Location, u64)>,
    /// Of what was fetched just now.
    hold: Option<Hold>,
}

// === impl Store ===

impl Store {
    /// Creates nothing on disk and asks nobody.
    pub fn new(
        config: Config,
        buckets: Buckets,
        embedded: &'static [EmbeddedModel],
        registry: &prometheus::Registry,
    ) -> Result<Self, StoreError> {
        config.endpoints.iter().try_for_each(|endpoint| check_endpoint(endpoint))?;
        let setup = |error: prometheus::Error| StoreError::Setup(error.to_string());
        let metrics = Metrics::register(registry).map_err(setup)?;
        space::register(registry, &config.cache_dir).map_err(setup)?;
        let limits = Limits::of(&config);
        let (buffers, busy, failures) = (Buffers::default(), Busy::default(), Mutex::default());
        let transport = OnceLock::new();
        Ok(Self(Arc::new(Inner { config, buckets, embedded, metrics, limits, buffers, busy, failures, transport })))
    }

    /// One file of a source, for example `config.json` to find out the family. From disk if it is there, else fetched
    /// like any other; of an archive, with everything else that is in it. Progress goes to `progress`, as by
    /// [`Self::fetch`].
    pub async fn peek(
        &self,
        source: &Source,
        file: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Vec<u8>, StoreError> {
        let path = match source {
            Source::Embedded(name) => {
                let found = self.embedded(name)?.file(file).map(<[u8]>::to_vec);
                return found.ok_or_else(|| no_file(source, file));
            }
            Source::Folder(folder) => folder::file(folder, file)?.path,
            _ => match self.shelved(source, file) {
                Some(found) => found.path,
                None => self.noting(source, self.fetch_one(source, file, progress).await)?,
            },
        };
        sink::blocking(move || std::fs::read(path)).await.map_err(StoreError::Cache)
    }

    /// Makes all parts of a model lie on this machine, verified. `choose` says which files are needed; progress goes to
    /// `progress`, at most some ten times a second. Dropping the future ends the transfer and leaves nothing half.
    pub async fn fetch(
        &self,
        parts: &[(String, Source)],
        choose: &Choose<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Fetched, StoreError> {
        progress(Progress::default());
        let mut steps = Vec::new();
        for (part, source) in parts {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| unfit(source, error));
            steps.push(self.noting(source, self.plan(source, &chosen).await)?);
        }
        let tracker = Tracker::new(start(&steps), progress);
        let mut fetched = Fetched::default();
        for ((part, source), step) in parts.iter().zip(steps) {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| unfit(source, error));
            self.noting(source, self.make_room(source, &step).await)?;
            let carried_out = self.carry_out(source, step, &chosen, &tracker).await;
            let mut carried_out = self.noting(source, carried_out)?;
            let until_then = carried_out.hold.take();
            fetched.add(part, source, carried_out);
            // Before the next part makes room for itself.
            fetched.hold = Some(Arc::new(self.hold(&fetched.files).await?));
            drop(until_then);
        }
        Ok(fetched)
    }

    /// What [`Self::fetch`] would give without the network, if everything is here. Looks at the disk, so it may block
    /// for moments.
    pub fn local(&self, parts: &[(String, Source)], choose: &Choose<'_>) -> Result<Option<Fetched>, StoreError> {
        let mut fetched = Fetched::default();
        for (part, source) in parts {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| unfit(source, error));
            match self.local_part(source, &chosen)? {
                Some(files) => fetched.add(part, source, files),
                None => return Ok(None),
            }
        }
        Ok(Some(fetched))
    }

    /// What the last fetch of a source failed with, as [`StoreError::word`] has it; `None` after one that succeeded.
    pub fn failure(&self, source: &Source) -> Option<&'static str> {
        self.0.failures.lock().get(source).copied()
    }

    fn noting<T>(&self, source: &Source, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let mut failures = self.0.failures.lock();
        match &outcome {
            Ok(_) => failures.remove(source),
            Err(error) => failures.insert(source.clone(), error.word()),
        };
        outcome
    }

    /// Compares everything that is here of a source with its manifest, or with the names of its blobs.
    pub async fn verify(&self, source: &Source) -> Result<Vec<FileReport>, StoreError> {
        match source {
            Source::Embedded(name) => Ok(verify::embedded(self.embedded(name)?)),
            Source::Folder(folder) => verify::folder(folder),
            _ => match Place::of(source) {
                Some(place) => verify::place(self.caches(source), place).await,
                None => Ok(Vec::new()),
            },
        }
    }

    /// As [`Self::verify`], of everything in every cache, each file with the name of its repository.
    pub async fn verify_all(&self) -> Result<Vec<(String, FileReport)>, StoreError> {
        verify::everything(self.every_cache()).await
    }

    fn shelved(&self, source: &Source, file: &str) -> Option<Found> {
        shelf::single(&self.caches(source), &Place::of(source)?, file)
    }

    /// What is to be done for one part.
    async fn plan(&self, source: &Source, choose: Wanted<'_>) -> Result<Step, StoreError> {
        let Some(place) = Place::of(source) else { return self.in_place(source, choose).map(Step::Here) };
        if !self.0.config.offline {
            let fetcher = self.fetcher(source, place.clone())?;
            let through = |listing: &[String]| fetcher.packed(listing).map_or_else(|| choose(listing), Ok);
            let plan = fetcher.plan(&through).await?;
            if matches!(plan, Plan::Fetch { .. }) {
                self.explain(source, &place);
            }
            return Ok(Step::Cached(plan));
        }
        match shelf::local(&self.caches(source), &place, choose) {
            Some((commit, found)) => Ok(Step::Cached(Plan::Here { commit, found })),
            None => Err(self.missing(source, &place, choose)),
        }
    }

    async fn carry_out(
        &self,
        source: &Source,
        step: Step,
        choose: Wanted<'_>,
        tracker: &Tracker<'_>,
    ) -> Result<Part, StoreError> {
        match step {
            Step::Here(part) => Ok(part),
            Step::Cached(Plan::Here { commit, found }) => Ok(self.shelved_part(commit, found)),
            Step::Cached(Plan::Fetch { commit, listing, wanted }) => {
                let bytes: u64 = wanted.iter().map(|file| file.size).sum();
                tracing::info!(%source, commit, files = wanted.len(), bytes, "downloading");
                let mut running = self.0.metrics.start();
                let place = Place::of(source).ok_or_else(|| no_file(source, "anything"))?;
                let fetcher = self.fetcher(source, place)?;
                let outcome = fetcher.fetch(&commit, &listing, &wanted, tracker).await;
                running.outcome = outcome.as_ref().map_or_else(StoreError::word, |_| "ok");
                let found = match source.archive() {
                    Some(_) => chosen_of(outcome?, source, choose)?,
                    None => outcome?,
                };
                tracing::info!(%source, commit, bytes, seconds = running.since.elapsed().as_secs_f64(), "downloaded");
                let hold = fetcher.held.lock().take();
                Ok(Part { hold, ..Part::of(Some(commit), Whence::Network, found) })
            }
        }
    }

    /// What was here before anybody was asked.
    fn shelved_part(&self, commit: String, found: Vec<Found>) -> Part {
        let read = |found: &Found| self.only_read().any(|cache| found.path.starts_with(cache));
        Part::of(Some(commit), if found.iter().all(read) { Whence::ReadOnly } else { Whence::Cache }, found)
    }

    fn local_part(&self, source: &Source, choose: Wanted<'_>) -> Result<Option<Part>, StoreError> {
        let Some(place) = Place::of(source) else { return self.in_place(source, choose).map(Some) };
        let here = shelf::local(&self.caches(source), &place, choose);
        Ok(here.map(|(commit, found)| self.shelved_part(commit, found)))
    }

    /// The files of a source that needs no network.
    fn in_place(&self, source: &Source, choose: Wanted<'_>) -> Result<Part, StoreError> {
        match source {
            Source::Embedded(name) => {
                let model = self.embedded(name)?;
                let bytes = |file: String| match model.file(&file) {
                    Some(bytes) => Ok((file, Location::Embedded(bytes), bytes.len() as u64)),
                    None => Err(no_file(source, &file)),
                };
                let files = choose(&model.listing())?.into_iter().map(bytes).collect::<Result<_, _>>()?;
                Ok(Part { commit: None, from: Whence::Embedded, files, hold: None })
            }
            Source::Folder(folder) => {
                let chosen = choose(&folder::listing(folder)?)?;
                let found = chosen.iter().map(|file| folder::file(folder, file)).collect::<Result<_, _>>()?;
                Ok(Part::of(None, Whence::Folder, found))
            }
            _ => Err(StoreError::Setup(format!("{source} is not read in place"))),
        }
    }

    async fn fetch_one(
        &self,
        source: &Source,
        file: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<PathBuf, StoreError> {
        let choose = |listing: &[String]| match listing.iter().any(|known| known == file) {
            true => Ok(vec![file.to_owned()]),
            false => Err(no_file(source, file)),
        };
        progress(Progress::default());
        let step = self.plan(source, &choose).await?;
        self.make_room(source, &step).await?;
        let tracker = Tracker::new(start(std::slice::from_ref(&step)), progress);
        let part = self.carry_out(source, step, &choose, &tracker).await?;
        match part.files.into_iter().next() {
            Some((_, Location::Disk(path), _)) => Ok(path),
            _ => Err(no_file(source, file)),
        }
    }

    /// Why a source cannot be had offline.
    fn missing(&self, source: &Source, place: &Place, choose: Wanted<'_>) -> StoreError {
        let missing = shelf::missing(&self.caches(source), place, choose);
        StoreError::Offline { source_name: place.source.clone(), missing }
    }

    fn embedded(&self, name: &str) -> Result<&'static EmbeddedModel, StoreError> {
        let known = || self.0.embedded.iter().map(|model| model.name.to_owned()).collect();
        let found = self.0.embedded.iter().find(|model| model.name == name);
        found.ok_or_else(|| StoreError::NotEmbedded { name: name.to_owned(), known: known() })
    }

    fn fetcher<'a>(&'a self, source: &'a Source, place: Place) -> Result<Fetcher<'a>, StoreError> {
        let Inner { config, metrics, limits, buffers, busy, .. } = &*self.0;
        Ok(Fetcher {
            cache: self.cache(source),
            caches: self.caches(source),
            place,
            scheme: source.scheme(),
            origin: self.origin(source)?,
            archive: source.archive(),
            limits,
            buffers,
            reserve: config.reserve,
            quota: config.quota,
            metrics,
            busy,
            held: Mutex::default(),
        })
    }

    /// Where a source is fetched from.
    fn origin<'a>(&'a self, source: &'a Source) -> Result<Box<dyn Origin + 'a>, StoreError> {
        match source {
            Source::Hub { repo, revision } => {
                Ok(Box::new(HubRepo::new(self.transport()?, &self.0.config, repo, revision)))
            }
            Source::Bucket(address) => Ok(Box::new(Objects::below(&self.0.buckets, address))),
            Source::File(link) => match link.place() {
                Some(Where::Bucket(address)) => Ok(Box::new(Objects::one(&self.0.buckets, link, address))),
                Some(Where::Web(url)) => Ok(Box::new(WebFile::new(self.transport()?, link, url))),
                None => Err(StoreError::Setup(format!("{source} is no address"))),
            },
            Source::Embedded(_) | Source::Folder(_) => {
                Err(StoreError::Setup(format!("{source} is read in place and not fetched")))
            }
        }
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

/// The totals, and what is here already.
fn start(steps: &[Step]) -> Progress {
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
fn chosen_of(found: Vec<Found>, source: &Source, choose: Wanted<'_>) -> Result<Vec<Found>, StoreError> {
    let mut found: BTreeMap<String, Found> = found.into_iter().map(|found| (found.file.clone(), found)).collect();
    let wanted = choose(&found.keys().cloned().collect::<Vec<_>>())?;
    wanted.into_iter().map(|file| found.remove(&file).ok_or_else(|| no_file(source, &file))).collect()
}

fn check_endpoint(endpoint: &str) -> Result<(), StoreError> {
    let url = reqwest::Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let wrong =
        || StoreError::Setup(format!("{endpoint:?} is no address of a hub; one looks like https://huggingface.co"));
    url.map(drop).ok_or_else(wrong)
}

fn no_file(source: &Source, file: &str) -> StoreError {
    StoreError::NoFile { source_name: source.to_string(), file: file.to_owned() }
}

fn unfit(source: &Source, error: LoadError) -> StoreError {
    StoreError::Unfit { source_name: source.to_string(), source: error }
}

// === impl Fetched ===

impl Fetched {
    fn add(&mut self, name: &str, source: &Source, part: Part) {
        let provenance = Provenance { source: source.to_string(), commit: part.commit, from: part.from };
        self.parts.insert(name.to_owned(), provenance);
        for (file, location, bytes) in part.files {
            self.files.insert(name, &file, location);
            self.bytes += bytes;
        }
    }
}

// === impl Part ===

impl Part {
    fn of(commit: Option<String>, from: Whence, found: Vec<Found>) -> Self {
        let file = |found: Found| (found.file, Location::Disk(found.path), found.size);
        Self { commit, from, files: found.into_iter().map(file).collect(), hold: None }
    }
}

#[cfg(test)]
mod tests;
