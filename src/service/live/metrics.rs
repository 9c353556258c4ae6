//! What is counted of live sessions.

use prometheus::{CounterVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// From a small model on a free core to a large one behind others.
const FINAL_SECONDS: [f64; 11] = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0];

/// Around half a second, above which words seem to lag.
const PARTIAL_SECONDS: [f64; 12] = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 3.0];

/// The metrics of live sessions, by protocol.
#[derive(Clone)]
pub(in crate::service) struct LiveMetrics {
    /// Sessions that are open.
    pub(super) sessions: IntGaugeVec,
    /// Sessions that ended, by the reason.
    pub(super) ended: IntCounterVec,
    /// Seconds of sound that came in.
    pub(super) audio_seconds: CounterVec,
    /// Seconds from the end of an item to its text.
    pub(super) final_seconds: HistogramVec,
    /// Seconds from the sound for which an item was heard before its end to what it seemed to be.
    pub(super) partial_seconds: HistogramVec,
    /// Items whose text is not what was certain before.
    pub(super) revised: IntCounterVec,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveEnd {
    /// The client closed it, or has gone.
    Left,
    /// It lasted as long as a session may.
    Expired,
    /// Nothing came for long.
    Idle,
    /// The client does not read.
    Stalled,
    /// Its key may send no more sound.
    Allowance,
    /// A message was longer than one may be, or none at all.
    Malformed,
    /// The server stops.
    Stopping,
}

// === impl LiveMetrics ===

impl LiveMetrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            sessions: IntGaugeVec::new(
                Opts::new("sconce_live_sessions", "Live sessions that are open, by protocol."),
                &["protocol"],
            )?,
            ended: IntCounterVec::new(
                Opts::new("sconce_live_ended_total", "Live sessions that ended, by protocol and reason."),
                &["protocol", "reason"],
            )?,
            audio_seconds: CounterVec::new(
                Opts::new("sconce_live_audio_seconds_total", "Seconds of sound that live sessions sent, by protocol."),
                &["protocol"],
            )?,
            final_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "sconce_live_final_seconds",
                    "Seconds from the end of an item, when a pause was long enough or the client said so, to its text.",
                )
                .buckets(FINAL_SECONDS.to_vec()),
                &["protocol"],
            )?,
            partial_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "sconce_live_partial_seconds",
                    "Seconds from when the sound was there for which an item is heard before its end to what it seems to be.",
                )
                .buckets(PARTIAL_SECONDS.to_vec()),
                &["protocol"],
            )?,
            revised: IntCounterVec::new(
                Opts::new(
                    "sconce_live_revised_total",
                    "Items whose text does not begin with the words that were sent while it was spoken, by protocol.",
                ),
                &["protocol"],
            )?,
        };
        registry.register(Box::new(metrics.sessions.clone()))?;
        registry.register(Box::new(metrics.ended.clone()))?;
        registry.register(Box::new(metrics.audio_seconds.clone()))?;
        registry.register(Box::new(metrics.final_seconds.clone()))?;
        registry.register(Box::new(metrics.partial_seconds.clone()))?;
        registry.register(Box::new(metrics.revised.clone()))?;
        Ok(metrics)
    }
}

// === impl LiveEnd ===

impl LiveEnd {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::Allowance => "allowance",
            Self::Malformed => "malformed",
            Self::Stopping => "stopping",
        }
    }
}
