//! What the store tells Prometheus.

use std::time::Instant;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

/// From a tokenizer on a fast network to a large model on a slow one, in seconds.
const BUCKETS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0];

#[derive(Clone)]
pub(super) struct Metrics {
    /// Bytes that arrived over the network, by kind of source.
    pub bytes: IntCounterVec,
    /// Fetches that used the network, by outcome: ok, cancelled, or what went wrong.
    pub downloads: IntCounterVec,
    /// Seconds that such a fetch took, whatever its outcome.
    pub seconds: Histogram,
}

/// Counts one fetch when it ends, also when its future is dropped.
pub(super) struct Running<'a> {
    metrics: &'a Metrics,
    pub since: Instant,
    pub outcome: &'static str,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let bytes = IntCounterVec::new(
            Opts::new("sconce_download_bytes_total", "Bytes that arrived over the network, by kind of source."),
            &["source"],
        )?;
        let downloads = IntCounterVec::new(
            Opts::new("sconce_downloads_total", "Fetches of model files that used the network, by outcome."),
            &["outcome"],
        )?;
        let seconds = Histogram::with_opts(
            HistogramOpts::new("sconce_download_seconds", "Seconds that a fetch of model files over the network took.")
                .buckets(BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(bytes.clone()))?;
        registry.register(Box::new(downloads.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { bytes, downloads, seconds })
    }

    pub(super) fn start(&self) -> Running<'_> {
        Running { metrics: self, since: Instant::now(), outcome: "cancelled" }
    }
}

// === impl Running ===

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.metrics.downloads.with_label_values(&[self.outcome]).inc();
        self.metrics.seconds.observe(self.since.elapsed().as_secs_f64());
    }
}
