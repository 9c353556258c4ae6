//! What jobs tell Prometheus.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// From a command that was free to run at once to a meeting behind many others, in seconds.
const BUCKETS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0];

#[derive(Clone)]
pub(super) struct Metrics {
    /// Jobs that are held, by status.
    pub held: IntGaugeVec,
    /// Bytes of recordings and results that are held.
    pub bytes: IntGauge,
    /// Jobs that ended, by status.
    pub ended: IntCounterVec,
    /// Jobs that went from running back to queued, by reason.
    pub requeued: IntCounterVec,
    /// Times that it was written down from where a job can go on.
    pub checkpoints: IntCounter,
    /// Seconds from the arrival of a job to its last beginning.
    pub wait: Histogram,
    /// Seconds from the last beginning of a job to its success.
    pub run: Histogram,
    /// Tries to deliver a webhook, by outcome.
    pub webhooks: IntCounterVec,
    /// Changes of jobs that could not be written down.
    pub unwritten: IntCounter,
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name, help, label| IntCounterVec::new(Opts::new(name, help), &[label]);
        let seconds = |name, help| Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()));
        let metrics = Self {
            held: IntGaugeVec::new(Opts::new("sconce_jobs", "Jobs that are held, by status."), &["status"])?,
            bytes: IntGauge::new("sconce_jobs_bytes", "Bytes of recordings and results of jobs that are held.")?,
            ended: counter("sconce_jobs_ended_total", "Jobs that ended, by status.", "status")?,
            requeued: counter(
                "sconce_jobs_requeued_total",
                "Jobs that went from running back to queued, by reason.",
                "reason",
            )?,
            wait: seconds("sconce_jobs_wait_seconds", "Seconds from the arrival of a job to its beginning.")?,
            run: seconds("sconce_jobs_run_seconds", "Seconds from the last beginning of a job to its success.")?,
            checkpoints: IntCounter::new(
                "sconce_jobs_checkpoints_total",
                "Times that it was written down from where a job can go on.",
            )?,
            unwritten: IntCounter::new(
                "sconce_jobs_unwritten_total",
                "Changes of jobs that could not be written down.",
            )?,
            webhooks: counter("sconce_jobs_webhooks_total", "Tries to deliver a webhook, by outcome.", "outcome")?,
        };
        registry.register(Box::new(metrics.held.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.unwritten.clone()))?;
        registry.register(Box::new(metrics.checkpoints.clone()))?;
        for counter in [&metrics.ended, &metrics.requeued, &metrics.webhooks] {
            registry.register(Box::new(counter.clone()))?;
        }
        for histogram in [&metrics.wait, &metrics.run] {
            registry.register(Box::new(histogram.clone()))?;
        }
        Ok(metrics)
    }
}
