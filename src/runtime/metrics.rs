//! What the runtime measures.

use std::{sync::Arc, time::Duration};

use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use super::{Config, outside_memory::OutsideMemory};
use crate::{
    model::Outside,
    speech::{ModelName, TaskKind},
};

/// Seconds from a millisecond to ten minutes: a queue and an answer have the same range.
const SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// The metrics of all executors. `model` labels hold catalog names only, so their number is bounded.
#[derive(Clone, Debug)]
pub struct Metrics {
    queue_depth: IntGaugeVec,
    waiting: IntGauge,
    queue_seconds: HistogramVec,
    compute_seconds: HistogramVec,
    parked_seconds: CounterVec,
    batch_size: HistogramVec,
    panics: IntCounterVec,
    leaked: IntCounterVec,
    outside: OutsideMemory,
}

/// The metrics of one executor.
#[derive(Clone)]
pub(super) struct ModelMetrics {
    queue_depth: IntGauge,
    waiting: IntGauge,
    queue_seconds: Histogram,
    compute_seconds: HistogramVec,
    parked: Counter,
    batch_size: Histogram,
    panics: IntCounter,
    leaked: IntCounter,
    outside: OutsideMemory,
    name: ModelName,
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &Registry, config: &Config) -> Result<Self, prometheus::Error> {
        let seconds = |name: &str, help: &str| HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let metrics = Self {
            queue_depth: IntGaugeVec::new(
                Opts::new("sconce_queue_depth", "Requests that wait in the queue of a model."),
                &["model"],
            )?,
            waiting: IntGauge::new("vllm:num_requests_waiting", "Requests that wait in all queues, for autoscalers.")?,
            queue_seconds: HistogramVec::new(
                seconds("sconce_queue_seconds", "Seconds that a request waited in the queue of its model."),
                &["model"],
            )?,
            compute_seconds: HistogramVec::new(
                seconds("sconce_compute_seconds", "Seconds that a model worked on a batch."),
                &["task", "model"],
            )?,
            parked_seconds: CounterVec::new(
                Opts::new(
                    "sconce_parked_seconds_total",
                    "Seconds that a model waited for slow readers of its answers or for input that was still to come.",
                ),
                &["model"],
            )?,
            batch_size: HistogramVec::new(
                HistogramOpts::new("sconce_batch_size", "Requests that shared one run of a model.")
                    .buckets(BATCH.to_vec()),
                &["model"],
            )?,
            panics: IntCounterVec::new(
                Opts::new("sconce_model_panics_total", "Panics of models, each contained."),
                &["model"],
            )?,
            leaked: IntCounterVec::new(
                Opts::new(
                    "sconce_model_leaked_bytes_total",
                    "Bytes that came with a model and stayed when it was unloaded, beyond memory.leak_threshold.",
                ),
                &["model"],
            )?,
            outside: OutsideMemory::new()?,
        };
        metrics.enrol(registry)?;
        if config.vllm_metric {
            registry.register(Box::new(metrics.waiting.clone()))?;
        }
        Ok(metrics)
    }

    /// Shows the queues of these models and what may go wrong with them from now on, at zero: Prometheus sees no increase
    /// in a series that begins above that, and who scales by a queue finds one before the first request.
    pub fn expect<'a>(&self, models: impl IntoIterator<Item = &'a ModelName>) {
        for name in models {
            let label = &[name.as_str()];
            self.queue_depth.with_label_values(label);
            self.panics.with_label_values(label);
            self.leaked.with_label_values(label);
        }
    }

    fn enrol(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.queue_depth.clone()))?;
        registry.register(Box::new(self.queue_seconds.clone()))?;
        registry.register(Box::new(self.compute_seconds.clone()))?;
        registry.register(Box::new(self.parked_seconds.clone()))?;
        registry.register(Box::new(self.batch_size.clone()))?;
        registry.register(Box::new(self.panics.clone()))?;
        registry.register(Box::new(self.leaked.clone()))?;
        registry.register(Box::new(self.outside.clone()))
    }

    pub(super) fn of(&self, name: &ModelName) -> ModelMetrics {
        let label = &[name.as_str()];
        ModelMetrics {
            queue_depth: self.queue_depth.with_label_values(label),
            waiting: self.waiting.clone(),
            queue_seconds: self.queue_seconds.with_label_values(label),
            compute_seconds: self.compute_seconds.clone(),
            parked: self.parked_seconds.with_label_values(label),
            batch_size: self.batch_size.with_label_values(label),
            panics: self.panics.with_label_values(label),
            leaked: self.leaked.with_label_values(label),
            outside: self.outside.clone(),
            name: name.clone(),
        }
    }
}

// === impl ModelMetrics ===

impl ModelMetrics {
    /// The queue had `before` requests and now has `now`.
    pub fn depth(&self, before: usize, now: usize) {
        let change = now as i64 - before as i64;
        self.queue_depth.add(change);
        self.waiting.add(change);
    }

    pub fn queued(&self, waited: Duration) {
        self.queue_seconds.observe(waited.as_secs_f64());
    }

    pub fn ran(&self, task: TaskKind, requests: usize, took: Duration, parked: Duration) {
        self.compute_seconds.with_label_values(&[task.as_str(), self.name.as_str()]).observe(took.as_secs_f64());
        self.batch_size.observe(requests as f64);
        self.parked.inc_by(parked.as_secs_f64());
    }

    pub fn leaked(&self, bytes: u64) {
        self.leaked.inc_by(bytes);
    }

    /// Shows what a process of the model holds, as long as there is one.
    pub fn watch(&self, outside: &Arc<Outside>) {
        self.outside.watch(&self.name, outside);
    }

    pub fn panicked(&self) {
        self.panics.inc();
    }
}
