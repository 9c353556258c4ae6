//! The backend of this machine: files by `store`, models by `runtime`.

use std::time::{Duration, Instant};

use futures::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{Backend, Ended, Facts, Failure, FamilyChoice, Fetched, Loaded, ModelSpec, Progress, Report};
use crate::{
    model::{Family, ModelFiles, Placement},
    runtime::{self, Event, Executor, device_name, dtype_name},
    speech::ModelName,
    store::{self, Source, Store},
};

/// What says of which family a model is.
const CONFIG: &str = "config.json";
/// An executor reports three events at most.
const EVENTS: usize = 4;

/// Models of this machine.
pub struct Local {
    store: Store,
    runtime: runtime::Config,
    metrics: runtime::Metrics,
    place: Placement,
}

/// Files, and who can read them.
#[derive(Clone)]
pub struct Readable {
    files: ModelFiles,
    family: &'static dyn Family,
}

/// Rate and remaining time of a download.
struct Meter {
    // Locked for a few additions only.
    first: Mutex<Option<(Instant, u64)>>,
}

// === impl Local ===

impl Local {
    /// `place` is where models live: see [`runtime::place`].
    pub fn new(store: Store, runtime: runtime::Config, metrics: runtime::Metrics, place: Placement) -> Self {
        Self { store, runtime, metrics, place }
    }

    fn start(&self, name: &ModelName, files: &Readable) -> Result<(Executor, mpsc::Receiver<Event>), Failure> {
        let (sender, events) = mpsc::channel(EVENTS);
        let (Readable { files, family }, place) = (files.clone(), self.place.clone());
        let load = move || family.load(&files, &place);
        // Nobody listens any more: the model was given up while it was loaded.
        let tell = move |event| drop(sender.blocking_send(event));
        match Executor::start(name, &self.runtime, &self.metrics, load, tell) {
            Ok(executor) => Ok((executor, events)),
            Err(error) => Err(Failure::transient(format!("no thread could be started for it: {error}"))),
        }
    }
}

impl Backend for Local {
    type Files = Readable;
    type Executor = Executor;

    fn fetch(&self, spec: &ModelSpec, report: Report) -> BoxFuture<'static, Result<Fetched<Readable>, Failure>> {
        let (store, place) = (self.store.clone(), self.place.clone());
        let (choice, parts) = (spec.families, spec.parts.clone());
        async move {
            let family = family(&store, choice, &parts).await?;
            let (fetched, downloaded) = fetch(&store, family, &parts, &report).await?;
            let readable = Readable { files: fetched.files, family };
            let footprint = footprint(readable.clone(), place).await?;
            let revision = fetched.revisions.into_values().next();
            Ok(Fetched { files: readable, footprint, bytes: fetched.bytes, downloaded, revision })
        }
        .boxed()
    }

    fn load(&self, spec: &ModelSpec, files: &Readable) -> BoxFuture<'static, Result<Loaded<Executor>, Failure>> {
        let started = self.start(&spec.name, files);
        let (device, dtype) = (device_name(&self.place.device), dtype_name(self.place.dtype).to_owned());
        async move {
            let (executor, mut events) = started?;
            let (load, resident, warm) = ready(&mut events).await?;
            let facts = Facts { pulse: executor.pulse().clone(), device, dtype, load, warm, resident };
            Ok(Loaded { executor, facts, ended: ended(events).boxed() })
        }
        .boxed()
    }
}

/// The family that was named, or the first that recognises the configuration of the first part.
async fn family(
    store: &Store,
    choice: FamilyChoice,
    parts: &[(String, Source)],
) -> Result<&'static dyn Family, Failure> {
    let families = match choice {
        FamilyChoice::Known(family) => return Ok(family),
        FamilyChoice::Among(families) => families,
    };
    let (_, source) = parts.first().ok_or_else(|| for_good("it has no source".to_owned()))?;
    let bytes = store.peek(source, CONFIG).await.map_err(|error| Failure::of(&error))?;
    let config: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| for_good(format!("{CONFIG} is not JSON: {error}")))?;
    let known = families.iter().copied().find(|family| family.recognises(&config));
    known.ok_or_else(|| for_good(foreign(&config)))
}

fn foreign(config: &serde_json::Value) -> String {
    match config.get("model_type").and_then(serde_json::Value::as_str) {
        Some(kind) => format!("{CONFIG} describes a model of type {kind:?}, which this build cannot run"),
        None => format!("{CONFIG} describes no model that this build can run"),
    }
}

/// The files, and how many of their bytes came over the network.
async fn fetch(
    store: &Store,
    family: &'static dyn Family,
    parts: &[(String, Source)],
    report: &Report,
) -> Result<(store::Fetched, u64), Failure> {
    let meter = Meter { first: Mutex::new(None) };
    let tell = |progress: store::Progress| {
        report.send_replace(meter.read(&progress, Instant::now()));
    };
    let choose = |part: &str, listing: &[String]| family.files(part, listing);
    let fetched = store.fetch(parts, &choose, &tell).await.map_err(|error| Failure::of(&error))?;
    let downloaded = fetched.bytes.saturating_sub(meter.present().unwrap_or(fetched.bytes));
    Ok((fetched, downloaded))
}

/// Reads the headers of the files, which may block.
async fn footprint(Readable { files, family }: Readable, place: Placement) -> Result<u64, Failure> {
    match spawn_blocking(move || family.footprint(&files, &place)).await {
        Ok(footprint) => footprint.map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::transient("its files could not be understood")),
    }
}

/// Seconds of the load, bytes that it took, seconds of the first inference.
async fn ready(events: &mut mpsc::Receiver<Event>) -> Result<(Duration, Option<u64>, Duration), Failure> {
    let mut loaded = (Duration::ZERO, None);
    loop {
        match events.recv().await {
            Some(Event::Loaded { took, resident }) => loaded = (took, resident),
            Some(Event::Ready { took }) => return Ok((loaded.0, loaded.1, took)),
            Some(Event::Failed(error)) => return Err(Failure::of(&error)),
            Some(Event::Ended { .. }) | None => return Err(Failure::transient("its thread ended unexpectedly")),
        }
    }
}

async fn ended(mut events: mpsc::Receiver<Event>) -> Ended {
    while let Some(event) = events.recv().await {
        if let Event::Ended { died, freed, .. } = event {
            return Ended { died, freed };
        }
    }
    Ended { died: Some("its thread ended unexpectedly".to_owned()), freed: None }
}

fn for_good(reason: String) -> Failure {
    Failure { reason, permanent: true, retry_after: None }
}

// === impl Meter ===

impl Meter {
    /// Mean rate since the first byte, so that the estimate does not jump about.
    fn read(&self, progress: &store::Progress, now: Instant) -> Progress {
        let (began, present) = *self.first.lock().get_or_insert((now, progress.bytes_done));
        let (seconds, bytes) = ((now - began).as_secs_f64(), progress.bytes_done.saturating_sub(present));
        let rate = (seconds > 0.0 && bytes > 0).then(|| bytes as f64 / seconds);
        let left = progress.bytes_total.saturating_sub(progress.bytes_done) as f64;
        Progress {
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
            files_done: progress.files_done,
            files_total: progress.files_total,
            bytes_per_second: rate,
            eta_seconds: rate.map(|rate| left / rate),
        }
    }

    /// Bytes that were here before.
    fn present(&self) -> Option<u64> {
        self.first.lock().map(|(_, present)| present)
    }
}

#[cfg(test)]
mod tests;
