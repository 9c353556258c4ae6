//! The files of models on this machine: where they come from, and whether they are whole.
//!
//! A [`Source`] says where the files of one part of a model come from. [`Store::fetch`] makes them lie on this machine,
//! verified; [`Store::local`] says what already does, without asking anybody. Look-up order: read-only caches, the
//! writable cache, the network.
//!
//! Correctness rests on four things and on no lock: every writer has a temporary file of its own, what arrives is hashed
//! and compared, a file gets its name by a rename, and the manifest's entry is written last.

mod digest;
mod embedded;
mod error;
mod folder;
mod hub;
mod layout;
mod manifest;
mod metrics;
mod patience;
mod progress;
mod shelf;
mod sink;
mod source;
mod transport;
mod verify;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

pub use embedded::{EMBEDDED, EmbeddedModel};
pub use error::StoreError;
pub use progress::Progress;
pub use source::{Source, SourceError};
pub use verify::{FileReport, FileState};

use self::{
    hub::{Busy, Hub, Plan},
    metrics::Metrics,
    patience::Patience,
    progress::Tracker,
    shelf::Found,
    transport::Transport,
};
use crate::model::{LoadError, Location, ModelFiles};

/// What the store needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The hub cache that files are fetched into (`…/hub`), in the hub's own layout.
    pub cache_dir: PathBuf,
    /// Further hub caches that are only read, looked at first.
    pub read_only: Vec<PathBuf>,
    /// Base address of the hub.
    pub endpoint: String,
    /// Bearer token for gated and private repositories.
    pub token: Option<Secret>,
    /// Never touch the network.
    pub offline: bool,
    /// A transfer without a byte for so long is broken off and resumed.
    pub idle_timeout: std::time::Duration,
    /// Tries per file, the first included.
    pub attempts: u32,
}

/// A string that neither `Debug` nor a log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

/// The store. A clone is the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    config: Config,
    embedded: &'static [EmbeddedModel],
    metrics: Metrics,
    patience: Patience,
    busy: Busy,
    /// Made when the network is first needed: it reads the certificates of the system, which takes a while and may fail.
    transport: OnceLock<Transport>,
}

/// Which files a part needs, by its name and the listing of its source; `Family::files` in most cases.
pub type Choose<'a> = dyn Fn(&str, &[String]) -> Result<Vec<String>, LoadError> + Sync + 'a;

/// The files of a model, all parts, on this machine.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    pub files: ModelFiles,
    /// Part → commit. A folder and an embedded model have none.
    pub revisions: BTreeMap<String, String>,
    /// Of all files together.
    pub bytes: u64,
}

/// The files of one part, as far as they are here, and how to get the rest.
enum Step {
    Here(Part),
    Hub(Plan),
}

/// The files of one part.
struct Part {
    revision: Option<String>,
    files: Vec<(String, Location, u64)>,
}

// === impl Secret ===

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

// === impl Store ===

impl Store {
    /// Creates nothing on disk and asks nobody.
    pub fn new(
        config: Config,
        embedded: &'static [EmbeddedModel],
        registry: &prometheus::Registry,
    ) -> Result<Self, StoreError> {
        check_endpoint(&config.endpoint)?;
        let metrics = Metrics::register(registry).map_err(|error| StoreError::Setup(error.to_string()))?;
        let (patience, busy) = (Patience::new(config.attempts), Busy::default());
        Ok(Self(Arc::new(Inner { config, embedded, metrics, patience, busy, transport: OnceLock::new() })))
    }

    /// One file of a source, for example `config.json` to find out the family. From disk if it is there, else fetched
    /// like any other.
    pub async fn peek(&self, source: &Source, file: &str) -> Result<Vec<u8>, StoreError> {
        let path = match source {
            Source::Embedded(name) => {
                let found = self.embedded(name)?.file(file).map(<[u8]>::to_vec);
                return found.ok_or_else(|| no_file(source, file));
            }
            Source::Folder(folder) => folder::file(folder, file)?.path,
            Source::Hub { repo, revision } => match hub::single(&self.0.config, repo, revision, file) {
                Some(found) => found.path,
                None => self.fetch_one(source, file).await?,
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
        let mut steps = Vec::new();
        for (part, source) in parts {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| unfit(source, error));
            steps.push(self.plan(source, &chosen).await?);
        }
        let tracker = Tracker::new(start(&steps), progress);
        let mut fetched = Fetched::default();
        for ((part, source), step) in parts.iter().zip(steps) {
            fetched.add(part, self.carry_out(source, step, &tracker).await?);
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
                Some(files) => fetched.add(part, files),
                None => return Ok(None),
            }
        }
        Ok(Some(fetched))
    }

    /// Compares everything that is here of a source with its manifest, or with the names of its blobs.
    pub async fn verify(&self, source: &Source) -> Result<Vec<FileReport>, StoreError> {
        match source {
            Source::Embedded(name) => Ok(verify::embedded(self.embedded(name)?)),
            Source::Folder(folder) => verify::folder(folder),
            Source::Hub { repo, revision } => verify::hub(&self.0.config, repo, revision).await,
        }
    }

    /// What is to be done for one part.
    async fn plan(&self, source: &Source, choose: hub::Choose<'_>) -> Result<Step, StoreError> {
        let Source::Hub { repo, revision } = source else { return self.in_place(source, choose).map(Step::Here) };
        if !self.0.config.offline {
            return self.hub()?.plan(repo, revision, choose).await.map(Step::Hub);
        }
        match hub::local(&self.0.config, repo, revision, choose) {
            Some((commit, found)) => Ok(Step::Hub(Plan::Here { commit, found })),
            None => Err(self.missing(source, choose)),
        }
    }

    async fn carry_out(&self, source: &Source, step: Step, tracker: &Tracker<'_>) -> Result<Part, StoreError> {
        match step {
            Step::Here(part) => Ok(part),
            Step::Hub(Plan::Here { commit, found }) => Ok(Part::of(Some(commit), found)),
            Step::Hub(Plan::Fetch { repo, revision, commit, listing, wanted }) => {
                let bytes: u64 = wanted.iter().map(|file| file.size).sum();
                tracing::info!(%source, commit, files = wanted.len(), bytes, "downloading");
                let mut running = self.0.metrics.start();
                let at = (repo.as_str(), revision.as_str(), commit.as_str());
                let outcome = self.hub()?.fetch(at, &listing, &wanted, tracker).await;
                running.outcome = outcome.as_ref().map_or_else(StoreError::word, |_| "ok");
                let found = outcome?;
                tracing::info!(%source, commit, bytes, seconds = running.since.elapsed().as_secs_f64(), "downloaded");
                Ok(Part::of(Some(commit), found))
            }
        }
    }

    fn local_part(&self, source: &Source, choose: hub::Choose<'_>) -> Result<Option<Part>, StoreError> {
        match source {
            Source::Embedded(_) | Source::Folder(_) => self.in_place(source, choose).map(Some),
            Source::Hub { repo, revision } => {
                Ok(hub::local(&self.0.config, repo, revision, choose)
                    .map(|(commit, found)| Part::of(Some(commit), found)))
            }
        }
    }

    /// The files of a source that needs no network.
    fn in_place(&self, source: &Source, choose: hub::Choose<'_>) -> Result<Part, StoreError> {
        match source {
            Source::Embedded(name) => {
                let model = self.embedded(name)?;
                let bytes = |file: String| match model.file(&file) {
                    Some(bytes) => Ok((file, Location::Embedded(bytes), bytes.len() as u64)),
                    None => Err(no_file(source, &file)),
                };
                let files = choose(&model.listing())?.into_iter().map(bytes).collect::<Result<_, _>>()?;
                Ok(Part { revision: None, files })
            }
            Source::Folder(folder) => {
                let chosen = choose(&folder::listing(folder)?)?;
                let found = chosen.iter().map(|file| folder::file(folder, file)).collect::<Result<_, _>>()?;
                Ok(Part::of(None, found))
            }
            Source::Hub { .. } => Err(StoreError::Setup("a hub source is not read in place".to_owned())),
        }
    }

    async fn fetch_one(&self, source: &Source, file: &str) -> Result<PathBuf, StoreError> {
        let choose = |listing: &[String]| match listing.iter().any(|known| known == file) {
            true => Ok(vec![file.to_owned()]),
            false => Err(no_file(source, file)),
        };
        let step = self.plan(source, &choose).await?;
        let ignore = |_: Progress| {};
        let part = self.carry_out(source, step, &Tracker::new(Progress::default(), &ignore)).await?;
        match part.files.into_iter().next() {
            Some((_, Location::Disk(path), _)) => Ok(path),
            _ => Err(no_file(source, file)),
        }
    }

    /// Why a hub source cannot be had offline.
    fn missing(&self, source: &Source, choose: hub::Choose<'_>) -> StoreError {
        let Source::Hub { repo, revision } = source else { return no_file(source, "anything") };
        let missing = hub::missing(&self.0.config, repo, revision, choose);
        StoreError::Offline { source_name: source.to_string(), missing }
    }

    fn embedded(&self, name: &str) -> Result<&'static EmbeddedModel, StoreError> {
        let known = || self.0.embedded.iter().map(|model| model.name.to_owned()).collect();
        let found = self.0.embedded.iter().find(|model| model.name == name);
        found.ok_or_else(|| StoreError::NotEmbedded { name: name.to_owned(), known: known() })
    }

    fn hub(&self) -> Result<Hub<'_>, StoreError> {
        let Inner { config, metrics, patience, busy, transport, .. } = &*self.0;
        let transport = match transport.get() {
            Some(transport) => transport,
            None => {
                let made = Transport::new(config)?;
                transport.get_or_init(|| made)
            }
        };
        Ok(Hub { config, transport, patience: *patience, metrics, busy })
    }
}

/// The totals, and what is here already.
fn start(steps: &[Step]) -> Progress {
    let mut progress = Progress::default();
    for step in steps {
        let (files, bytes, here) = match step {
            Step::Here(part) => (part.files.len(), part.files.iter().map(|(_, _, bytes)| bytes).sum::<u64>(), true),
            Step::Hub(Plan::Here { found, .. }) => (found.len(), found.iter().map(|found| found.size).sum(), true),
            Step::Hub(Plan::Fetch { wanted, .. }) => (wanted.len(), wanted.iter().map(|file| file.size).sum(), false),
        };
        progress.files_total += files as u64;
        progress.bytes_total += bytes;
        if here {
            progress.files_done += files as u64;
            progress.bytes_done += bytes;
        }
    }
    progress
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
    fn add(&mut self, name: &str, part: Part) {
        if let Some(revision) = part.revision {
            self.revisions.insert(name.to_owned(), revision);
        }
        for (file, location, bytes) in part.files {
            self.files.insert(name, &file, location);
            self.bytes += bytes;
        }
    }
}

// === impl Part ===

impl Part {
    fn of(revision: Option<String>, found: Vec<Found>) -> Self {
        let file = |found: Found| (found.file, Location::Disk(found.path), found.size);
        Self { revision, files: found.into_iter().map(file).collect() }
    }
}

#[cfg(test)]
mod tests;
