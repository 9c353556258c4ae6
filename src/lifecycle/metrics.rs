//! What the lifecycle measures.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::{Budget, ModelStatus, Snapshot, Status};
use crate::speech::ModelName;

/// Seconds from a hundredth to an hour: a warm page cache and a slow network.
const SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// The metrics of all models. `model` labels hold catalog names only, so their number is bounded.
#[derive(Clone, Debug)]
pub struct Metrics {
    state: IntGaugeVec,
    load_seconds: HistogramVec,
    switches: IntCounter,
    evictions: IntCounterVec,
    roll_backs: IntCounter,
    updates: IntCounterVec,
    resident: IntGaugeVec,
    held: IntGaugeVec,
    budget: IntGaugeVec,
    info: IntGaugeVec,
    waiting: IntGauge,
    wait_seconds: Histogram,
    failures: IntCounterVec,
}

/// A part of bringing a model in.
#[derive(Clone, Copy, Debug)]
pub(super) enum LoadPhase {
    Fetch,
    Load,
    Warm,
}

/// What became of an update.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Done,
    /// What serves is what there is.
    Unchanged,
    Failed,
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = |name: &str, help: &str| HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let metrics = Self {
            state: IntGaugeVec::new(
                Opts::new("sconce_model_state", "1 for the state that a model is in, 0 for the others."),
                &["model", "state"],
            )?,
            load_seconds: HistogramVec::new(
                seconds("sconce_model_load_seconds", "Seconds to bring a model in, by phase: fetch, load, warm."),
                &["phase"],
            )?,
            switches: IntCounter::new(
                "sconce_model_switches_total",
                "Times that a model went so that another could come.",
            )?,
            evictions: IntCounterVec::new(
                Opts::new(
                    "sconce_model_evictions_total",
                    "Models unloaded, by reason: idle, room, asked, updated, removed, limits, stopping.",
                ),
                &["reason"],
            )?,
            roll_backs: IntCounter::new(
                "sconce_model_rollbacks_total",
                "Times that a model which had gone for another was brought back because the other did not come.",
            )?,
            updates: IntCounterVec::new(
                Opts::new("sconce_model_updates_total", "Updates of models, by outcome: done, unchanged, failed."),
                &["outcome"],
            )?,
            resident: IntGaugeVec::new(
                Opts::new(
                    "sconce_model_resident_bytes",
                    "Bytes of memory that a loaded model was seen to take, or is reckoned to where that could not be seen.",
                ),
                &["model"],
            )?,
            held: IntGaugeVec::new(
                Opts::new(
                    "sconce_model_warm_bytes",
                    "Bytes of a model that left its accelerator and stays in host memory; 0 where it does not.",
                ),
                &["model"],
            )?,
            budget: IntGaugeVec::new(
                Opts::new(
                    "sconce_memory_budget_bytes",
                    "Bytes of memory that models may take, by device; `each`: every device that has no row.",
                ),
                &["device"],
            )?,
            info: IntGaugeVec::new(
                Opts::new("sconce_model_info", "Where and as what a loaded model serves; always 1."),
                &["model", "device", "dtype", "revision"],
            )?,
            waiting: IntGauge::new("sconce_waiting_requests", "Requests that wait for a model to be ready.")?,
            wait_seconds: Histogram::with_opts(seconds(
                "sconce_model_wait_seconds",
                "Seconds that a request waited for its model to be ready.",
            ))?,
            failures: IntCounterVec::new(
                Opts::new("sconce_model_failures_total", "Failed attempts to bring a model in, and models that broke."),
                &["model"],
            )?,
        };
        metrics.enrol(registry)?;
        Ok(metrics)
    }

    fn enrol(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.state.clone()))?;
        registry.register(Box::new(self.load_seconds.clone()))?;
        registry.register(Box::new(self.switches.clone()))?;
        registry.register(Box::new(self.evictions.clone()))?;
        registry.register(Box::new(self.roll_backs.clone()))?;
        registry.register(Box::new(self.updates.clone()))?;
        registry.register(Box::new(self.resident.clone()))?;
        registry.register(Box::new(self.held.clone()))?;
        registry.register(Box::new(self.budget.clone()))?;
        registry.register(Box::new(self.info.clone()))?;
        registry.register(Box::new(self.waiting.clone()))?;
        registry.register(Box::new(self.wait_seconds.clone()))?;
        registry.register(Box::new(self.failures.clone()))
    }

    pub(super) fn waited(&self, waited: Duration) {
        self.wait_seconds.observe(waited.as_secs_f64());
    }

    pub(super) fn took(&self, phase: LoadPhase, took: Duration) {
        self.load_seconds.with_label_values(&[phase.as_str()]).observe(took.as_secs_f64());
    }

    pub(super) fn switched(&self) {
        self.switches.inc();
    }

    pub(super) fn evicted(&self, reason: &str) {
        self.evictions.with_label_values(&[reason]).inc();
    }

    pub(super) fn rolled_back(&self) {
        self.roll_backs.inc();
    }

    pub(super) fn updated(&self, outcome: Outcome) {
        self.updates.with_label_values(&[outcome.as_str()]).inc();
    }

    pub(super) fn failed(&self, model: &ModelName) {
        self.failures.with_label_values(&[model.as_str()]).inc();
    }

    /// What models may take from now on.
    pub(super) fn allowed(&self, budget: &Budget) {
        self.budget.reset();
        let own = budget.of.iter().map(|(device, bytes)| (device.as_str(), *bytes));
        for (device, bytes) in own.chain(budget.each.map(|bytes| ("each", bytes))) {
            self.budget.with_label_values(&[device]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// The gauges follow what is published.
    pub(super) fn publish(&self, snapshot: &Snapshot, before: &Snapshot) {
        let gone = |model: &&ModelStatus| snapshot.model(&model.name).is_none();
        before.models.iter().filter(gone).for_each(|model| self.forget(&model.name));
        self.waiting.set(snapshot.models.iter().map(|model| model.waiting as i64).sum());
        snapshot.models.iter().for_each(|model| self.publish_model(model));
        let [old, new] = [before, snapshot].map(|snapshot| snapshot.models.iter().filter_map(info).collect::<Vec<_>>());
        for labels in old.iter().filter(|labels| !new.contains(labels)) {
            let _ = self.info.remove_label_values(labels);
        }
        new.iter().for_each(|labels| self.info.with_label_values(labels).set(1));
    }

    /// A model that is not served any more has no state.
    fn forget(&self, model: &ModelName) {
        for state in Status::ALL {
            let _ = self.state.remove_label_values(&[model.as_str(), state.as_str()]);
        }
        let _ = self.resident.remove_label_values(&[model.as_str()]);
        let _ = self.held.remove_label_values(&[model.as_str()]);
    }

    fn publish_model(&self, model: &ModelStatus) {
        for state in Status::ALL {
            let gauge = self.state.with_label_values(&[model.name.as_str(), state.as_str()]);
            gauge.set(i64::from(state == model.status));
        }
        // The device is known as long as the model is in memory.
        let bytes = model.resident_bytes.or(model.footprint_bytes).filter(|_| model.device.is_some()).unwrap_or(0);
        self.resident.with_label_values(&[model.name.as_str()]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let held = model.warm_bytes.unwrap_or(0);
        self.held.with_label_values(&[model.name.as_str()]).set(i64::try_from(held).unwrap_or(i64::MAX));
    }
}

/// The labels of a model in memory: its name, device, data type and revision.
fn info(model: &ModelStatus) -> Option<[&str; 4]> {
    let (device, dtype) = (model.device.as_deref()?, model.dtype.as_deref()?);
    Some([model.name.as_str(), device, dtype, model.revision.as_deref().unwrap_or_default()])
}

// === impl LoadPhase ===

impl LoadPhase {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Load => "load",
            Self::Warm => "warm",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}
