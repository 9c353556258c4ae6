//! What the lifecycle measures.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::{ModelStatus, Snapshot, Status};
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
    resident: IntGaugeVec,
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
                Opts::new("sconce_model_evictions_total", "Models unloaded, by reason: idle, room, asked, stopping."),
                &["reason"],
            )?,
            resident: IntGaugeVec::new(
                Opts::new("sconce_model_resident_bytes", "Bytes of memory that a loaded model is counted with."),
                &["model"],
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
        registry.register(Box::new(self.resident.clone()))?;
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

    pub(super) fn failed(&self, model: &ModelName) {
        self.failures.with_label_values(&[model.as_str()]).inc();
    }

    /// The gauges follow what is published.
    pub(super) fn publish(&self, snapshot: &Snapshot) {
        self.waiting.set(snapshot.models.iter().map(|model| model.waiting as i64).sum());
        snapshot.models.iter().for_each(|model| self.publish_model(model));
    }

    fn publish_model(&self, model: &ModelStatus) {
        for state in Status::ALL {
            let gauge = self.state.with_label_values(&[model.name.as_str(), state.as_str()]);
            gauge.set(i64::from(state == model.status));
        }
        // The device is known as long as the model is in memory.
        let bytes = model.footprint_bytes.filter(|_| model.device.is_some()).unwrap_or(0);
        self.resident.with_label_values(&[model.name.as_str()]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
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
