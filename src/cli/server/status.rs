//! What `/models/status` says. Fields that this program does not know are left out, and those that a server leaves out are
//! absent: the two may be of different versions.

use std::time::Instant;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

/// All of it.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::cli) struct Status {
    #[serde(default)]
    pub server: String,
    pub load_mode: String,
    pub default: String,
    /// In the server's order.
    #[serde(deserialize_with = "models")]
    pub models: Vec<Model>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Model {
    #[serde(skip)]
    pub name: String,
    pub status: String,
    pub availability: String,
    pub fetched: bool,
    pub listed: bool,
    pub aliases: Vec<String>,
    /// `None`: what it does is known when it is loaded.
    pub tasks: Option<Vec<String>>,
    pub preload: bool,
    pub pinned: bool,
    pub progress: Option<Progress>,
    pub error: Option<Failure>,
    pub update: Option<Update>,
    pub revision: Option<String>,
    pub device: Option<String>,
    pub dtype: Option<String>,
    pub footprint_bytes: Option<f64>,
    pub resident_bytes: Option<f64>,
    pub load_seconds: Option<f64>,
    pub warm_seconds: Option<f64>,
    pub idle_seconds: Option<f64>,
    pub expires_in_seconds: Option<f64>,
    pub expected_in_seconds: Option<f64>,
    pub waiting: u64,
    pub queue_depth: u64,
}

/// Another version that is to take the place of the one that serves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Update {
    pub status: String,
    pub progress: Option<Progress>,
    pub error: Option<Failure>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Progress {
    pub phase: String,
    pub bytes_done: f64,
    pub bytes_total: f64,
    pub bytes_per_second: Option<f64>,
    pub eta_seconds: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Failure {
    pub message: String,
    pub permanent: bool,
    pub attempts: u32,
    pub retry_in_seconds: Option<f64>,
}

// === impl Model ===

impl Model {
    /// Not one of the many that could be brought in and that nobody asked for.
    pub fn is_here(&self) -> bool {
        self.fetched || self.listed || self.preload || self.status != "not_loaded"
    }

    /// What moves: an update that has not failed, or else the model itself.
    pub fn moving(&self) -> (&str, Option<&Progress>) {
        match &self.update {
            Some(update) if update.status != "failed" => (&update.status, update.progress.as_ref()),
            _ => (&self.status, self.progress.as_ref()),
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        self.error.as_ref().or_else(|| self.update.as_ref()?.error.as_ref())
    }

    /// Bytes that it was seen to take, or is counted with.
    pub fn memory(&self) -> Option<f64> {
        self.footprint_bytes.map(|counted| self.resident_bytes.unwrap_or(counted))
    }

    /// Seconds since its last request ended, of one in memory.
    pub fn idle(&self, asked: Instant, now: Instant) -> Option<f64> {
        let idle = self.idle_seconds.filter(|_| self.status == "ready")?;
        Some(idle + now.saturating_duration_since(asked).as_secs_f64())
    }
}

// === impl Progress ===

impl Progress {
    /// Of one; `None` before it is known how much there is.
    pub fn share(&self) -> Option<f64> {
        (self.bytes_total > 0.0).then(|| (self.bytes_done / self.bytes_total).clamp(0.0, 1.0))
    }
}

/// The name of each is its key.
fn models<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Model>, D::Error> {
    let model = |(name, value): (String, Value)| {
        let model: Model =
            serde_json::from_value(value).map_err(|error| D::Error::custom(format!("{name}: {error}")))?;
        Ok(Model { name, ..model })
    };
    Map::<String, Value>::deserialize(deserializer)?.into_iter().map(model).collect()
}
