//! The backend of this machine: files by `store`, models by `runtime`.

mod foreign;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Backend, Budget, Ended, Facts, Failure, FamilyChoice, Fetched, Footprint, Loaded, ModelSpec, Obstacle, OnDisk,
    Progress, Report,
};
use crate::{
    model::{Backing, Family, LoadError, ModelFiles, Outside, Placement, Programs, Residency},
    runtime::{self, DeviceHealth, Event, Executor, Placed, Placer, Scale, Setup},
    store::{self, FetchPlan, Phase, Provenance, Source, Store, StoreError},
};

/// What says of which family a model is.
const CONFIG: &str = "config.json";
/// An executor reports three events at most.
const EVENTS: usize = 4;
/// For a look at what is to come. It saves a download that is of no use, and is no reason to begin one late.
const LOOK: Duration = Duration::from_secs(10);

/// Models of this machine.
#[derive(Clone)]
pub struct Local {
    store: Store,
    runtime: runtime::Config,
    metrics: runtime::Metrics,
    placer: Arc<Placer>,
    scale: Scale,
}

/// Files, and who can read them.
#[derive(Clone)]
pub struct Readable {
    files: ModelFiles,
    family: &'static dyn Family,
    /// Part → where its files came from.
    parts: BTreeMap<String, Provenance>,
    /// Nobody clears the files away meanwhile.
    pin: Option<Arc<store::CommitPin>>,
}

/// A model on its thread, perhaps not loaded yet.
struct Started {
    executor: Executor,
    dtype: String,
}

/// What a model took to come.
#[derive(Default)]
struct Weighed {
    load: Duration,
    /// Bytes of its device.
    resident: Option<u64>,
    outside: Option<Arc<Outside>>,
    /// Of the first inference.
    warm: Duration,
}

/// Rate and remaining time of downloads that follow one another.
#[derive(Default)]
struct Meter {
    /// Locked for a few additions only.
    state: Mutex<Metered>,
}

#[derive(Default)]
struct Metered {
    /// When the first byte was awaited.
    began: Option<Instant>,
    /// That have come over the network.
    bytes: u64,
    /// Of the downloads before.
    before: u64,
}

// === impl Local ===

impl Local {
    /// `scale` weighs on the devices that `placer` places on.
    pub fn new(
        store: Store,
        runtime: runtime::Config,
        metrics: runtime::Metrics,
        placer: Arc<Placer>,
        scale: Scale,
    ) -> Self {
        Self { store, runtime, metrics, placer, scale }
    }

    /// On a thread that may wait: a device takes seconds to open, and may not answer a question at once.
    async fn place(&self, spec: &ModelSpec, family: &'static dyn Family, need: Option<u64>) -> Result<Placed, Failure> {
        let (placer, name, overrides) = (self.placer.clone(), spec.name.clone(), spec.overrides.clone());
        match spawn_blocking(move || placer.place(&name, family, &overrides, need)).await {
            Ok(placed) => placed.map_err(|error| Failure::of(&error)),
            Err(_) => Err(Failure::transient("its device could not be asked")),
        }
    }

    fn start(
        &self,
        spec: &ModelSpec,
        files: &Readable,
        mut placed: Placed,
    ) -> Result<(Started, mpsc::Receiver<Event>), Failure> {
        placed.placement.weights = self.backing(spec, &files.files);
        let (sender, events) = mpsc::channel(EVENTS);
        let (setup, dtype) = (self.setup(spec, &placed, files), placed.placement.dtype.as_str().to_owned());
        let Readable { files, family, .. } = files.clone();
        let load = move || family.load(&files, &placed.placement);
        // Nobody listens any more: the model was given up while it was loaded.
        let tell = move |event| drop(sender.blocking_send(event));
        match Executor::start(setup, &self.metrics, load, tell) {
            Ok(executor) => Ok((Started { executor, dtype }, events)),
            Err(error) => Err(Failure::transient(format!("no thread could be started for it: {error}"))),
        }
    }

    fn backing(&self, spec: &ModelSpec, files: &ModelFiles) -> Backing {
        let unsafe_to_map = || in_folder(spec) && !files.are_held() && files.are_writable();
        self.runtime.weights.unwrap_or_else(|| if unsafe_to_map() { Backing::Copied } else { Backing::Mapped })
    }

    /// Refuses a model that can never fit before its weights come. What cannot be told so early is told when they are here.
    async fn weigh_ahead(
        &self,
        spec: &ModelSpec,
        family: &'static dyn Family,
        placed: Placed,
        plan: &mut FetchPlan,
        budget: &Budget,
    ) -> Result<(), Failure> {
        if budget.on(&placed.device.to_string()).is_none() {
            return Ok(());
        }
        let files = match tokio::time::timeout(LOOK, self.store.preview(plan)).await {
            Ok(Ok(Some(files))) => files,
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "not weighed before it is fetched");
                return Ok(());
            }
        };
        let readable = Readable { files, family, parts: BTreeMap::new(), pin: None };
        match footprint(readable, placed.placement).await {
            Ok(need) => {
                let device = self.place(spec, family, Some(need.together)).await?.device.to_string();
                let limit = budget.on(&device);
                let fits = limit.is_none_or(|most| need.within(limit) <= most);
                if fits { Ok(()) } else { Err(Failure::too_large(need, &device)) }
            }
            Err(Failure { reason, .. }) => {
                tracing::debug!(reason, "not weighed before it is fetched");
                Ok(())
            }
        }
    }

    fn setup(&self, spec: &ModelSpec, placed: &Placed, Readable { files, family, .. }: &Readable) -> Setup {
        Setup {
            name: spec.name.clone(),
            device: placed.device,
            input_rates: family.tasks().iter().map(|task| (*task, family.input_rate(*task))).collect(),
            watermark: family.watermark(files),
            max_batch: placed.placement.max_batch,
            queue: spec.overrides.queue.unwrap_or(self.runtime.queue),
            max_failures: self.runtime.max_failures,
            cold: spec.overrides.cold,
            scale: self.scale.clone(),
            health: self.placer.health().clone(),
            need: self
                .placer
                .promised(&spec.name)
                .filter(|(device, _)| *device == placed.device)
                .map(|(_, bytes)| bytes),
            leak_threshold: self.runtime.leak_threshold,
        }
    }
}

impl Backend for Local {
    type Files = Readable;
    type Executor = Executor;

    fn health(&self) -> Arc<DeviceHealth> {
        self.placer.health().clone()
    }

    fn look(&self, spec: &ModelSpec) -> BoxFuture<'static, Option<OnDisk>> {
        let (store, spec) = (self.store.clone(), spec.clone());
        async move { spawn_blocking(move || on_disk(&store, &spec)).await.unwrap_or_default() }.boxed()
    }

    fn fetch(
        &self,
        spec: &ModelSpec,
        budget: Option<Budget>,
        report: Report,
    ) -> BoxFuture<'static, Result<Fetched<Readable>, Failure>> {
        let (local, spec) = (self.clone(), spec.clone());
        async move {
            let Self { store, placer, .. } = &local;
            let meter = Meter::default();
            let tell = |progress: store::Progress| {
                report.send_replace(meter.read(&progress, Instant::now()));
            };
            let family = family(store, &spec, &tell).await?;
            if let Some(terms) = family.terms()
                && spec.parts.iter().any(|(_, source)| source.is_remote())
                && local.look(&spec).await.is_none()
            {
                store.check_terms(&spec.parts, terms).map_err(|error| of_store(&error))?;
            }
            placer.check_dtype(family, &spec.overrides).map_err(|error| Failure::of(&error))?;
            // What cannot live here is not fetched.
            let placed = local.place(&spec, family, None).await?;
            let choose = |part: &str, listing: &[String]| family.files(part, listing);
            let plan = store.plan(&spec.parts, &choose, &tell).await;
            let mut plan = plan.map_err(|error| of_store(&error))?;
            if let Some(budget) = &budget {
                local.weigh_ahead(&spec, family, placed, &mut plan, budget).await?;
            }
            let fetched = store.carry_out(plan, &choose, &tell).await.map_err(|error| of_store(&error))?;
            let downloaded = meter.downloaded();
            let parts = fetched.parts.clone();
            let family = described(family, &spec, &fetched.files, placer.programs(&spec.overrides)).await?;
            let readable = Readable { files: fetched.files, family, parts, pin: fetched.pin };
            let weighed = local.place(&spec, family, None).await?;
            let footprint = footprint(readable.clone(), weighed.placement).await?;
            let Placed { device, .. } = local.place(&spec, family, Some(footprint.together)).await?;
            let limit = budget.as_ref().and_then(|budget| budget.on(&device.to_string()));
            placer.promise(&spec.name, device, footprint.within(limit));
            let revision = revision(&spec.parts, &fetched.parts);
            let (device, parts) = (device.to_string(), fetched.parts);
            Ok(Fetched { files: readable, footprint, device, bytes: fetched.bytes, downloaded, revision, parts })
        }
        .boxed()
    }

    fn warm(&self, spec: &ModelSpec, files: &Readable) -> BoxFuture<'static, Option<Readable>> {
        let (local, spec, files) = (self.clone(), spec.clone(), files.clone());
        let hold = move || {
            let size = files.files.disk_bytes();
            if !local.placer.host_spares(size) {
                tracing::info!(model = %spec.name, size, "this machine has no memory to hold it in");
                return None;
            }
            match files.files.held(local.backing(&spec, &files.files)) {
                Ok(held) => Some(Readable { files: held, ..files }),
                Err(error) => {
                    tracing::warn!(model = %spec.name, %error, "it could not be held in memory");
                    None
                }
            }
        };
        spawn_blocking(hold).map(Result::unwrap_or_default).boxed()
    }

    fn load(
        &self,
        spec: &ModelSpec,
        files: &Readable,
        residency: Residency,
    ) -> BoxFuture<'static, Result<Loaded<Executor>, Failure>> {
        let (local, spec, files) = (self.clone(), spec.clone(), files.clone());
        async move {
            if !files.files.are_held() {
                let checked = local.store.check_load(&spec.parts, &files.parts, &files.files).await;
                checked.map_err(|error| of_store(&error))?;
            }
            let mut placed = local.place(&spec, files.family, None).await?;
            placed.placement.residency = residency;
            let residency = files.family.takes_turns().then_some(residency);
            let (Started { executor, dtype }, mut events) = local.start(&spec, &files, placed)?;
            let Readable { pin, family, .. } = files;
            let Weighed { load, resident, outside, warm } = ready(&mut events).await?;
            let (pulse, device) = (executor.pulse().clone(), executor.device().to_string());
            let watermark = executor.watermark();
            let family = Some(family);
            let facts = Facts { family, pulse, device, dtype, residency, watermark, load, warm, resident, outside };
            Ok(Loaded { executor, facts, ended: ended(events).map(move |ended| last(ended, pin)).boxed() })
        }
        .boxed()
    }
}

/// The family as the files of one model have it, which may take a look at all of them.
async fn described(
    family: &'static dyn Family,
    spec: &ModelSpec,
    files: &ModelFiles,
    programs: Programs,
) -> Result<&'static dyn Family, Failure> {
    let (name, files) = (spec.name.clone(), files.clone());
    match spawn_blocking(move || family.described(name.as_str(), &files, &programs)).await {
        Ok(described) => described.map(|it| it.unwrap_or(family)).map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::transient("its files could not be understood")),
    }
}

/// The family that was named, or the first that recognises the configuration of the first part, or, of a folder that has
/// none, its files.
async fn family(
    store: &Store,
    spec: &ModelSpec,
    tell: &(dyn Fn(store::Progress) + Send + Sync),
) -> Result<&'static dyn Family, Failure> {
    let families = match spec.families {
        FamilyChoice::Known(family) => return Ok(family),
        FamilyChoice::Among(families) => families,
    };
    let part = spec.parts.first().ok_or_else(|| for_good("it has no source".to_owned()))?;
    let (name, source) = (called(spec, &part.1), &part.1);
    let (there, folder) = (store.clone(), source.clone());
    let listing = spawn_blocking(move || there.folder_listing(&folder)).await.unwrap_or_default();
    if let Some(listing) = listing {
        if let Some(family) = by_files(families, &listing) {
            return Ok(family);
        }
        if let Some(reason) = foreign::of_files(families, name, &listing) {
            return Err(unsupported(reason));
        }
    }
    let described = match store.peek(source, CONFIG, tell).await {
        Ok(bytes) => recognised(families, name, &bytes),
        Err(error) => Err(of_store(&error)),
    };
    let Err(failure) = described else { return described };
    // What has no configuration that is known may have a file that says it all by its name.
    for family in families.iter().filter(|_| failure.permanent) {
        if let Some(marker) = family.marker()
            && store.peek(source, marker, tell).await.is_ok()
        {
            return Ok(*family);
        }
    }
    let told = failure.obstacle.is_some() || !failure.permanent;
    let foreign = if told { None } else { foreign::of_source(store, families, name, part, tell).await };
    Err(foreign.map_or(failure, unsupported))
}

/// What a model is called where it comes from.
fn called<'a>(spec: &'a ModelSpec, source: &'a Source) -> &'a str {
    match source {
        Source::Hub { repo, .. } => repo,
        _ => spec.name.as_str(),
    }
}

/// The family of a folder without a configuration.
fn by_files(families: &[&'static dyn Family], listing: &[String]) -> Option<&'static dyn Family> {
    let has = |name: &str| listing.iter().any(|file| file == name);
    let marked = families.iter().copied().find(|family| family.marker().is_some_and(has));
    if marked.is_some() {
        return marked;
    }
    let configured = has(CONFIG);
    families.iter().copied().find(|family| !configured && family.recognises_files(listing))
}

/// The first family that recognises a `config.json`.
fn recognised(families: &[&'static dyn Family], name: &str, config: &[u8]) -> Result<&'static dyn Family, Failure> {
    let config: serde_json::Value =
        serde_json::from_slice(config).map_err(|error| for_good(format!("{CONFIG} is not JSON: {error}")))?;
    let known = families.iter().copied().find(|family| family.recognises(&config));
    known.ok_or_else(|| {
        unsupported(foreign::of_config(families, name, &config).unwrap_or_else(|| unrecognised(&config)))
    })
}

/// What of a model is on this machine, if all of it is. Looks at disks.
fn on_disk(store: &Store, spec: &ModelSpec) -> Option<OnDisk> {
    let family = match spec.families {
        FamilyChoice::Known(family) => family,
        FamilyChoice::Among(families) => {
            let (_, source) = spec.parts.first()?;
            match store.folder_listing(source).and_then(|listing| by_files(families, &listing)) {
                Some(family) => family,
                None => match store.peek_here(source, CONFIG).ok()? {
                    Some(config) => recognised(families, spec.name.as_str(), &config).ok()?,
                    None => marked_here(store, families, source)?,
                },
            }
        }
    };
    let parts = store.local(&spec.parts, &|part, listing| family.files(part, listing)).ok()??.parts;
    Some(OnDisk { revision: revision(&spec.parts, &parts), parts })
}

/// The family of a repository that has a file which says it all by its name.
fn marked_here(store: &Store, families: &[&'static dyn Family], source: &Source) -> Option<&'static dyn Family> {
    let is = |family: &&'static dyn Family| {
        family.marker().is_some_and(|marker| matches!(store.peek_here(source, marker), Ok(Some(_))))
    };
    families.iter().copied().find(is)
}

/// Whether its files are somebody else's, and are read in place.
fn in_folder(spec: &ModelSpec) -> bool {
    spec.parts.iter().any(|(_, source)| matches!(source, Source::Folder(_)))
}

fn unrecognised(config: &serde_json::Value) -> String {
    match config.get("model_type").and_then(serde_json::Value::as_str) {
        Some(kind) => format!("{CONFIG} describes a model of type {kind:?}, which this build cannot run"),
        None => format!("{CONFIG} describes no model that this build can run"),
    }
}

/// The commit that the files are of; of a model in several parts, all of them in their order. `None` where a part has no
/// such thing, since what it holds may be another thing the next time.
fn revision(sources: &[(String, Source)], parts: &BTreeMap<String, Provenance>) -> Option<String> {
    let commit = |(part, _): &(String, Source)| parts.get(part)?.commit.clone();
    let commits: Option<Vec<String>> = sources.iter().map(commit).collect();
    commits.map(|commits| commits.join("+"))
}

/// Reads the headers of the files, which may block.
async fn footprint(Readable { files, family, .. }: Readable, place: Placement) -> Result<Footprint, Failure> {
    let weigh = move || {
        let bytes = |residency| family.footprint(&files, &Placement { residency, ..place.clone() });
        let in_turns = family.takes_turns().then(|| bytes(Residency::InTurns)).transpose()?;
        Ok::<_, LoadError>(Footprint { together: bytes(Residency::Together)?, in_turns })
    };
    match spawn_blocking(weigh).await {
        Ok(footprint) => footprint.map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::transient("its files could not be understood")),
    }
}

async fn ready(events: &mut mpsc::Receiver<Event>) -> Result<Weighed, Failure> {
    let mut weighed = Weighed::default();
    loop {
        match events.recv().await {
            Some(Event::Loaded { took, resident, outside }) => {
                weighed = Weighed { load: took, resident, outside, ..weighed };
            }
            Some(Event::Ready { took }) => return Ok(Weighed { warm: took, ..weighed }),
            Some(Event::Failed(error)) => return Err(Failure::of(&error)),
            Some(Event::Ended { .. }) | None => return Err(Failure::transient("its thread ended unexpectedly")),
        }
    }
}

/// The model is gone, and its files are free.
fn last(ended: Ended, pin: Option<Arc<store::CommitPin>>) -> Ended {
    drop(pin);
    ended
}

async fn ended(mut events: mpsc::Receiver<Event>) -> Ended {
    while let Some(event) = events.recv().await {
        if let Event::Ended { died, freed } = event {
            return Ended { died, freed };
        }
    }
    Ended { died: Some("its thread ended unexpectedly".to_owned()), ..Ended::default() }
}

fn for_good(reason: String) -> Failure {
    Failure { reason, permanent: true, retry_after: None, obstacle: None }
}

fn unsupported(reason: String) -> Failure {
    Failure { obstacle: Some(Obstacle::Unsupported), ..for_good(reason) }
}

fn of_store(error: &StoreError) -> Failure {
    let failure = Failure::of(error);
    match error {
        StoreError::Denied { gated: true, .. } | StoreError::Terms { .. } => {
            Failure { obstacle: Some(Obstacle::Gated), ..failure }
        }
        _ => failure,
    }
}

// === impl Meter ===

impl Meter {
    /// Mean rate of what came over the network, so that the estimate does not jump about.
    fn read(&self, progress: &store::Progress, now: Instant) -> Progress {
        let bytes = progress.bytes_done.saturating_sub(progress.bytes_here);
        let began = self.state.lock().note(progress.phase, bytes, now);
        let seconds = began.map_or(0.0, |began| (now - began).as_secs_f64());
        let rate = (seconds > 0.0 && bytes > 0).then(|| bytes as f64 / seconds);
        let left = progress.bytes_total.saturating_sub(progress.bytes_done) as f64;
        Progress {
            phase: progress.phase,
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
            files_done: progress.files_done,
            files_total: progress.files_total,
            bytes_per_second: rate,
            eta_seconds: rate.map(|rate| left / rate),
        }
    }

    /// Bytes that came over the network.
    fn downloaded(&self) -> u64 {
        let state = self.state.lock();
        state.before + state.bytes
    }
}

// === impl Metered ===

impl Metered {
    fn note(&mut self, phase: Phase, bytes: u64, now: Instant) -> Option<Instant> {
        match phase {
            // Another one begins.
            Phase::Resolving => *self = Self { before: self.before + self.bytes, ..Self::default() },
            Phase::Downloading => _ = self.began.get_or_insert(now),
            _ => {}
        }
        self.bytes = bytes;
        self.began
    }
}

#[cfg(test)]
mod tests;
