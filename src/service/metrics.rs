//! What is counted of each request.

use std::time::Instant;

use prometheus::{CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::ServiceError;
use crate::speech::{Fault, Kind, ModelName, TaskKind};

/// From a hundredth of a second to ten minutes: a command on a small model, and an hour of sound on a large one.
const REQUEST_SECONDS: [f64; 12] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Compute time over sound time: below 1 is faster than real time.
const REAL_TIME_FACTORS: [f64; 10] = [0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0];

/// The metrics of the service.
#[derive(Clone)]
pub(super) struct Metrics {
    /// Finished requests by protocol, task, model and outcome.
    requests: IntCounterVec,
    /// Seconds from the request to its last piece.
    seconds: HistogramVec,
    /// Seconds that it took to decode and resample a recording.
    pub(super) decode_seconds: Histogram,
    /// Seconds of sound that were taken in.
    audio_seconds: CounterVec,
    /// Seconds of work per second of sound.
    real_time_factor: HistogramVec,
}

/// The account of one request. It is settled once: with its outcome, or as cancelled when it is dropped before.
pub struct Account {
    metrics: Metrics,
    protocol: &'static str,
    task: TaskKind,
    model: Option<ModelName>,
    /// Seconds of sound in the request, and since when the model has it.
    sound: Option<(f64, Instant)>,
    opened: Instant,
    settled: bool,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("sconce_requests_total", "Finished requests by protocol, task, model and outcome."),
                &["protocol", "task", "model", "outcome"],
            )?,
            seconds: histogram(
                "sconce_request_seconds",
                "Seconds from the request to its last piece.",
                &["protocol", "task"],
                &REQUEST_SECONDS,
            )?,
            decode_seconds: Histogram::with_opts(HistogramOpts::new(
                "sconce_audio_decode_seconds",
                "Seconds that it took to decode and resample a recording.",
            ))?,
            audio_seconds: CounterVec::new(
                Opts::new("sconce_audio_seconds_total", "Seconds of sound that were taken in, by model."),
                &["model"],
            )?,
            real_time_factor: histogram(
                "sconce_real_time_factor",
                "Seconds in the queue and in the model per second of sound, of finished requests.",
                &["model"],
                &REAL_TIME_FACTORS,
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.decode_seconds.clone()))?;
        registry.register(Box::new(metrics.audio_seconds.clone()))?;
        registry.register(Box::new(metrics.real_time_factor.clone()))?;
        Ok(metrics)
    }

    pub(super) fn open(&self, protocol: &'static str, task: TaskKind) -> Account {
        let metrics = self.clone();
        Account { metrics, protocol, task, model: None, sound: None, opened: Instant::now(), settled: false }
    }
}

fn histogram(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec, prometheus::Error> {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
}

// === impl Account ===

impl Account {
    pub(super) fn model(&mut self, name: &ModelName) {
        self.model = Some(name.clone());
    }

    /// The model has the request now, with so many seconds of sound.
    pub(super) fn sound(&mut self, seconds: f64) {
        self.metrics.audio_seconds.with_label_values(&[self.model_label()]).inc_by(seconds);
        self.sound = Some((seconds, Instant::now()));
    }

    /// Goes on with what `then` makes of a success; closes the account with an error.
    pub(super) fn settle<A, B>(
        mut self,
        result: Result<A, ServiceError>,
        then: impl FnOnce(Self, A) -> B,
    ) -> Result<B, ServiceError> {
        match result {
            Ok(value) => Ok(then(self, value)),
            Err(error) => {
                self.fail(&error);
                Err(error)
            }
        }
    }

    pub(super) fn fail(&mut self, error: &ServiceError) {
        self.close(outcome(error.kind()));
    }

    pub(super) fn succeed(&mut self) {
        if let Some((sound, since)) = self.sound
            && sound > 0.0
        {
            let factor = since.elapsed().as_secs_f64() / sound;
            self.metrics.real_time_factor.with_label_values(&[self.model_label()]).observe(factor);
        }
        self.close("ok");
    }

    fn close(&mut self, outcome: &str) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let (protocol, task) = (self.protocol, self.task.as_str());
        self.metrics.requests.with_label_values(&[protocol, task, self.model_label(), outcome]).inc();
        self.metrics.seconds.with_label_values(&[protocol, task]).observe(self.opened.elapsed().as_secs_f64());
    }

    /// A name that no catalog knows is not a label: labels are bounded.
    fn model_label(&self) -> &str {
        self.model.as_ref().map_or("unknown", ModelName::as_str)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.close(outcome(Kind::Cancelled));
    }
}

/// The label of an outcome that is no success.
fn outcome(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "invalid",
        Kind::NotFound => "not_found",
        Kind::Unsupported => "unsupported",
        Kind::TooLarge => "too_large",
        Kind::TooSlow => "too_slow",
        Kind::UnsupportedMedia => "unsupported_media",
        Kind::Busy => "busy",
        Kind::Loading => "loading",
        Kind::Unavailable => "unavailable",
        Kind::WontFit => "wont_fit",
        Kind::Deadline => "deadline",
        Kind::Cancelled => "cancelled",
        Kind::Unauthenticated => "unauthenticated",
        Kind::Forbidden => "forbidden",
        Kind::Stopping => "stopping",
        Kind::Internal => "internal",
    }
}
