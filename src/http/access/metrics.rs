//! What is counted at the gate. Names of keys are labels: they come from the configuration, never from a request.

use prometheus::{CounterVec, IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of keys and limits.
#[derive(Clone)]
pub(super) struct Metrics {
    /// Keys in force.
    keys: IntGauge,
    /// Requests for work, by key.
    requests: IntCounterVec,
    /// Seconds of sound that were taken from allowances, by key.
    audio_seconds: CounterVec,
    /// Characters that were taken from allowances, by key.
    characters: IntCounterVec,
    /// Requests that were refused at the gate, by key and reason.
    refused: IntCounterVec,
    /// Changes of the file of keys, by outcome.
    reloads: IntCounterVec,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    NoKey,
    UnknownKey,
    Scope,
    Requests,
    Audio,
    Characters,
    Concurrency,
}

/// In place of a key's name where there is none.
pub(super) const NOBODY: &str = "";

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            keys: IntGauge::new("sconce_keys", "Keys in force; 0 where everybody may come in.")?,
            requests: IntCounterVec::new(
                Opts::new("sconce_key_requests_total", "Requests that asked for work, by key."),
                &["key"],
            )?,
            audio_seconds: CounterVec::new(
                Opts::new("sconce_key_audio_seconds_total", "Seconds of sound that were let in, by key."),
                &["key"],
            )?,
            characters: IntCounterVec::new(
                Opts::new("sconce_key_characters_total", "Characters of text that were let in, by key."),
                &["key"],
            )?,
            refused: IntCounterVec::new(
                Opts::new("sconce_refused_total", "Requests that were refused at the gate, by key and reason."),
                &["key", "reason"],
            )?,
            reloads: IntCounterVec::new(
                Opts::new("sconce_key_reloads_total", "Changes of the file of keys, by outcome."),
                &["outcome"],
            )?,
        };
        registry.register(Box::new(metrics.keys.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.audio_seconds.clone()))?;
        registry.register(Box::new(metrics.characters.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.reloads.clone()))?;
        Ok(metrics)
    }

    pub fn in_force(&self, keys: usize) {
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    pub fn asked(&self, key: &str) {
        self.requests.with_label_values(&[key]).inc();
    }

    pub fn heard(&self, key: &str, seconds: f64) {
        self.audio_seconds.with_label_values(&[key]).inc_by(seconds);
    }

    pub fn read(&self, key: &str, characters: usize) {
        self.characters.with_label_values(&[key]).inc_by(characters as u64);
    }

    pub fn refused(&self, key: &str, why: Refusal) {
        self.refused.with_label_values(&[key, why.as_str()]).inc();
    }

    pub fn reloaded(&self, fine: bool) {
        self.reloads.with_label_values(&[if fine { "ok" } else { "broken" }]).inc();
    }
}

// === impl Refusal ===

impl Refusal {
    fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::UnknownKey => "unknown_key",
            Self::Scope => "scope",
            Self::Requests => "requests",
            Self::Audio => "audio",
            Self::Characters => "characters",
            Self::Concurrency => "concurrency",
        }
    }
}
