//! What everybody may know about the models, at any time, without waiting.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer};

use super::{LoadMode, Obstacle, Progress};
use crate::{
    model::{Outside, Residency},
    runtime::Pulse,
    speech::{ModelName, TaskKind},
    store::Provenance,
};

/// The state of all models at one moment. Serialises as the body of `GET /models/status`.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    #[serde(rename = "load_mode")]
    pub mode: LoadMode,
    /// In the order of the catalog.
    pub models: Vec<ModelStatus>,
    /// Every model that loads at start has been ready once (or was given up, where the configuration says so).
    pub preload_complete: bool,
    /// Why the start is not complete, where something failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload_failed: Option<String>,
    pub stopping: bool,
}

/// The state of one model. Field names are those of the wire.
#[derive(Clone, Debug, Serialize)]
pub struct ModelStatus {
    pub name: ModelName,
    pub status: Status,
    /// The fastest place on this machine that it can be had from; absent: nothing of it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Its files are on this machine.
    pub fetched: bool,
    pub pinned: bool,
    pub preload: bool,
    /// While it downloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorStatus>,
    /// The commit that serves, or is here to serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Another version that is on its way, or why the last one did not come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateStatus>,
    /// Part → where its files came from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Provenance>,
    /// Who runs it and what it can do; when ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<&'static [TaskKind]>,
    /// `cpu`, `cuda:0`, `metal`; when ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// What marks the sound that it makes; when ready, where something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<&'static str>,
    /// How its parts share the device: `together`, or `in_turns` where there is no room for all; when ready, where its parts could
    /// do either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residency: Option<Residency>,
    /// Bytes of memory that it is counted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footprint_bytes: Option<u64>,
    /// Bytes by which what its device holds grew when it was loaded; absent where other models came or went meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Bytes of its files that stay in host memory since it left its accelerator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_bytes: Option<u64>,
    /// Bytes that came back when it was last unloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freed_bytes: Option<u64>,
    /// How long it took to load.
    #[serde(rename = "load_seconds", serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub load: Option<Duration>,
    /// How long the first inference took.
    #[serde(rename = "warm_seconds", serialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub warm: Option<Duration>,
    /// Since when it has been in this state.
    #[serde(rename = "since_seconds", serialize_with = "ago", skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// When its last request ended; absent while one runs.
    #[serde(rename = "idle_seconds", serialize_with = "ago", skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Instant>,
    /// When it is unloaded if nobody asks for it: after its `idle_ttl`, or as the last request's `keep_alive` said.
    #[serde(rename = "expires_in_seconds", serialize_with = "ahead", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
    /// Callers that wait for it to be ready.
    pub waiting: usize,
    /// Among the models that wait for memory; 1: the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<usize>,
    /// When it is likely to be ready, from measured times and the turns of others.
    #[serde(rename = "expected_in_seconds", serialize_with = "ahead", skip_serializing_if = "Option::is_none")]
    pub expected_at: Option<Instant>,
    /// The process that it is, or that does its work; read when serialised.
    #[serde(rename = "process", serialize_with = "process", skip_serializing_if = "Option::is_none")]
    pub outside: Option<Arc<Outside>>,
    /// Jobs in its queue, read when serialised.
    #[serde(rename = "queue_depth", serialize_with = "depth", skip_serializing_if = "Option::is_none")]
    pub pulse: Option<Arc<Pulse>>,
}

/// A version of a model that is to take the place of the one that serves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UpdateStatus {
    /// The commit, once it is known; until then the branch or tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// `failed`: what served before serves on.
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorStatus>,
}

/// The public state of a model, derived from the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    NotLoaded,
    Downloading,
    Loading,
    Ready,
    Failed,
}

/// Where on this machine a model is to be had from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// It is loaded.
    Device,
    /// Its files are held in host memory: a load copies them to the device.
    Host,
    /// A load reads its files.
    Disk,
}

/// The last failure of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorStatus {
    pub message: String,
    /// Not tried again until somebody asks for it by `POST /download-models`.
    pub permanent: bool,
    /// Failures in a row.
    pub attempts: u32,
    /// When the next request, or the server by itself, tries again.
    #[serde(rename = "retry_in_seconds", serialize_with = "ahead", skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Instant>,
    /// Shown as the model's `availability`.
    #[serde(skip)]
    pub obstacle: Option<Obstacle>,
}

// === impl Snapshot ===

impl Snapshot {
    pub fn model(&self, name: &ModelName) -> Option<&ModelStatus> {
        self.models.iter().find(|model| model.name == *name)
    }

    /// Whether a follower should hear of it: not of every request that begins or ends.
    pub(super) fn differs(&self, before: &Self) -> bool {
        let start = |it: &Self| (it.preload_complete, it.preload_failed.clone(), it.stopping);
        start(self) != start(before)
            || self.models.len() != before.models.len()
            || self.models.iter().zip(&before.models).any(|(model, before)| model.differs(before))
    }
}

// === impl ModelStatus ===

impl ModelStatus {
    fn differs(&self, before: &Self) -> bool {
        let state = |it: &Self| (it.status, it.tier, it.since, it.progress, it.place);
        let named = |it: &Self| (it.name.clone(), it.revision.clone(), it.pinned, it.preload);
        state(self) != state(before)
            || self.error != before.error
            || self.update != before.update
            || named(self) != named(before)
    }
}

// === impl Status ===

impl Status {
    pub const ALL: [Status; 5] = [Self::NotLoaded, Self::Downloading, Self::Loading, Self::Ready, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotLoaded => "not_loaded",
            Self::Downloading => "downloading",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

// === serialisation: instants become seconds from now ===

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Milliseconds are fine enough for people.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(rounded).serialize(serializer)
}

fn ago<S: Serializer>(then: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
    then.map(|then| rounded(now().saturating_duration_since(then))).serialize(serializer)
}

fn ahead<S: Serializer>(then: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
    then.map(|then| rounded(then.saturating_duration_since(now()))).serialize(serializer)
}

fn process<S: Serializer>(outside: &Option<Arc<Outside>>, serializer: S) -> Result<S::Ok, S::Error> {
    outside.as_ref().map(|outside| outside.status()).serialize(serializer)
}

fn depth<S: Serializer>(pulse: &Option<Arc<Pulse>>, serializer: S) -> Result<S::Ok, S::Error> {
    pulse.as_ref().map(|pulse| pulse.queued()).serialize(serializer)
}
