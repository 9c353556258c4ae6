//! What is counted of each request.

use std::time::{Duration, Instant};

use prometheus::{
    CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::ServiceError;
use crate::speech::{Fault, Kind, ModelName, TaskKind, Warning};

/// From a hundredth of a second to ten minutes: a command on a small model, and an hour of sound on a large one.
const REQUEST_SECONDS: [f64; 12] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Compute time over sound time: below 1 is faster than real time.
const REAL_TIME_FACTORS: [f64; 10] = [0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0];

/// Seconds from a request to its first sound: a small voice on a free core, and a large one behind a queue.
const FIRST_SOUND_SECONDS: [f64; 12] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// The metrics of the service.
#[derive(Clone)]
pub(super) struct Metrics {
    /// Finished requests by protocol, task, model and outcome.
    requests: IntCounterVec,
    /// Requests that are not answered yet, by task and model.
    in_flight: IntGaugeVec,
    /// Seconds from the request to its last piece.
    seconds: HistogramVec,
    /// Seconds that it took to decode and resample a recording.
    pub(super) decode_seconds: Histogram,
    /// Seconds that it took to tell the speakers of a recording apart.
    pub(super) diarization_seconds: Histogram,
    /// Seconds of sound that were taken in.
    audio_seconds: CounterVec,
    /// Seconds of sound that were made.
    speech_seconds: CounterVec,
    /// Characters of text that were to be spoken.
    characters: IntCounterVec,
    /// Seconds from the request to its first sound.
    first_sound: HistogramVec,
    /// Seconds of work per second of sound.
    real_time_factor: HistogramVec,
    /// Requests that another model answered, by both.
    fallbacks: IntCounterVec,
    /// Warnings of recordings, by their code.
    warnings: IntCounterVec,
}

/// The account of one request. It is settled once: with its outcome, or as cancelled when it is dropped before.
pub struct Account {
    metrics: Metrics,
    protocol: &'static str,
    task: TaskKind,
    model: Option<ModelName>,
    /// Since when the model has the request.
    begun: Option<Instant>,
    /// Seconds of sound in the request.
    heard: f64,
    /// Sound that was made.
    made: Duration,
    opened: Instant,
    settled: bool,
    /// Nothing is counted but that it is under way.
    uncounted: bool,
}

// === impl Metrics ===

impl Metrics {
    pub(super) fn warned(&self, warnings: &[Warning]) {
        for warning in warnings {
            self.warnings.with_label_values(&[&warning.code.to_string()]).inc();
        }
    }

    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("sconce_requests_total", "Finished requests by protocol, task, model and outcome."),
                &["protocol", "task", "model", "outcome"],
            )?,
            in_flight: IntGaugeVec::new(
                Opts::new("sconce_requests_in_flight", "Requests whose answer is not complete yet, by task and model."),
                &["task", "model"],
            )?,
            seconds: histogram(
                "sconce_request_seconds",
                "Seconds from the request to its last piece.",
                &["protocol", "task", "model"],
                &REQUEST_SECONDS,
            )?,
            decode_seconds: Histogram::with_opts(HistogramOpts::new(
                "sconce_audio_decode_seconds",
                "Seconds that it took to decode and resample a recording.",
            ))?,
            diarization_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "sconce_diarization_seconds",
                    "Seconds that it took to tell the speakers of a recording apart.",
                )
                .buckets(REQUEST_SECONDS.to_vec()),
            )?,
            audio_seconds: CounterVec::new(
                Opts::new("sconce_audio_seconds_total", "Seconds of sound that were taken in, by model."),
                &["model"],
            )?,
            speech_seconds: CounterVec::new(
                Opts::new("sconce_speech_seconds_total", "Seconds of sound that were made, by task and model."),
                &["task", "model"],
            )?,
            characters: IntCounterVec::new(
                Opts::new("sconce_characters_total", "Characters of text that models were given, by task and model."),
                &["task", "model"],
            )?,
            first_sound: histogram(
                "sconce_first_sound_seconds",
                "Seconds from the request to its first sound.",
                &["task", "model"],
                &FIRST_SOUND_SECONDS,
            )?,
            real_time_factor: histogram(
                "sconce_real_time_factor",
                "Seconds in the queue and in the model per second of sound, of finished requests: of sound that was \
                 made, or else of sound that was heard.",
                &["task", "model"],
                &REAL_TIME_FACTORS,
            )?,
            warnings: IntCounterVec::new(
                Opts::new(
                    "sconce_recording_warnings_total",
                    "Recordings that something was amiss with, by what it was.",
                ),
                &["code"],
            )?,
            fallbacks: IntCounterVec::new(
                Opts::new(
                    "sconce_fallbacks_total",
                    "Requests for a model that could not be loaded, which its fallback answered.",
                ),
                &["model", "fallback"],
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.decode_seconds.clone()))?;
        registry.register(Box::new(metrics.diarization_seconds.clone()))?;
        registry.register(Box::new(metrics.audio_seconds.clone()))?;
        registry.register(Box::new(metrics.speech_seconds.clone()))?;
        registry.register(Box::new(metrics.characters.clone()))?;
        registry.register(Box::new(metrics.first_sound.clone()))?;
        registry.register(Box::new(metrics.real_time_factor.clone()))?;
        registry.register(Box::new(metrics.fallbacks.clone()))?;
        registry.register(Box::new(metrics.warnings.clone()))?;
        Ok(metrics)
    }

    pub(super) fn open(&self, protocol: &'static str, task: TaskKind) -> Account {
        let account = Account {
            metrics: self.clone(),
            protocol,
            task,
            model: None,
            begun: None,
            heard: 0.0,
            made: Duration::ZERO,
            opened: Instant::now(),
            settled: false,
            uncounted: false,
        };
        account.in_flight().inc();
        account
    }
}

fn histogram(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec, prometheus::Error> {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
}

// === impl Account ===

impl Account {
    /// Of work that is not an answer to anybody: it shows while it is under way, and in no total.
    pub(super) fn uncounted(self) -> Self {
        let mut account = self;
        account.uncounted = true;
        account
    }

    pub(super) fn model(&mut self, name: &ModelName) {
        self.in_flight().dec();
        self.model = Some(name.clone());
        self.in_flight().inc();
    }

    /// Another model has the request.
    pub(super) fn falls_back(&mut self, model: &ModelName, fallback: &ModelName) {
        self.metrics.fallbacks.with_label_values(&[model.as_str(), fallback.as_str()]).inc();
        self.model(fallback);
    }

    /// The model has the request now, with so many seconds of sound and so many characters of text.
    pub(super) fn begun(&mut self, heard: f64, characters: usize) {
        if heard > 0.0 && !self.uncounted {
            self.metrics.audio_seconds.with_label_values(&[self.model_label()]).inc_by(heard);
        }
        if characters > 0 {
            self.metrics.characters.with_label_values(&self.labels()).inc_by(characters as u64);
        }
        (self.heard, self.begun) = (heard, Some(Instant::now()));
    }

    /// So many seconds of sound came in while the model worked.
    pub(super) fn took_in(&self, seconds: f64) {
        if seconds > 0.0 && !self.uncounted {
            self.metrics.audio_seconds.with_label_values(&[self.model_label()]).inc_by(seconds);
        }
    }

    /// So much sound more is made.
    pub(super) fn made(&mut self, sound: Duration) {
        if sound.is_zero() {
            return;
        }
        if self.made.is_zero() {
            self.metrics.first_sound.with_label_values(&self.labels()).observe(self.opened.elapsed().as_secs_f64());
        }
        self.metrics.speech_seconds.with_label_values(&self.labels()).inc_by(sound.as_secs_f64());
        self.made += sound;
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
        let sound = if self.made.is_zero() { self.heard } else { self.made.as_secs_f64() };
        if let Some(begun) = self.begun
            && sound > 0.0
            && !self.uncounted
        {
            let factor = begun.elapsed().as_secs_f64() / sound;
            self.metrics.real_time_factor.with_label_values(&self.labels()).observe(factor);
        }
        self.close("ok");
    }

    fn close(&mut self, outcome: &str) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        self.in_flight().dec();
        if self.uncounted {
            return;
        }
        let [task, model] = self.labels();
        self.metrics.requests.with_label_values(&[self.protocol, task, model, outcome]).inc();
        let taken = self.opened.elapsed().as_secs_f64();
        self.metrics.seconds.with_label_values(&[self.protocol, task, model]).observe(taken);
    }

    fn in_flight(&self) -> IntGauge {
        self.metrics.in_flight.with_label_values(&self.labels())
    }

    /// Of metrics by task and model.
    fn labels(&self) -> [&str; 2] {
        [self.task.as_str(), self.model_label()]
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
        Kind::WrongMethod => "wrong_method",
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
