//! What happens to the machine, what it wants done, and what it tells.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Resource, Rules, version::TargetState};
use crate::{
    lifecycle::{Cause, Ended, Failure, KeepAlive, ModelSpec, Progress, Unavailable},
    speech::ModelName,
};

/// Names one fetch or one load, so that news of an earlier one is recognised.
pub type Attempt = u64;

/// Names one edition of a model, for as long as the machine runs.
pub type VersionId = u64;

/// What a caller wants of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitCondition {
    /// To use it, and to have it kept for so long afterwards.
    Lease { keep_alive: Option<KeepAlive> },
    /// To have it in memory.
    Ready,
    /// To have its files.
    Fetched,
    /// To have it out of memory.
    Unloaded,
    /// To have the edition in memory that is to take its place.
    Updated,
}

/// A caller that waits; it is answered exactly once, or leaves.
#[derive(Clone, Debug)]
pub struct Waiter {
    pub id: u64,
    pub goal: WaitCondition,
    pub since: Instant,
    /// When its patience ends.
    pub until: Option<Instant>,
}

/// What happened. `jitter` is from 0 to 1.
pub enum Event<R, F> {
    /// The server is up.
    Start,
    Ask {
        model: ModelName,
        waiter: Waiter,
        explicit: bool,
    },
    /// Another edition is wanted in place of the one that there is.
    Update {
        spec: Arc<ModelSpec>,
        waiter: Waiter,
    },
    /// These are the models from now on, under these rules.
    Configure {
        rules: Rules,
        specs: Vec<Arc<ModelSpec>>,
    },
    /// A caller does not wait any more.
    Left {
        waiter: u64,
    },
    Progress {
        attempt: Attempt,
        progress: Progress,
    },
    Fetched {
        attempt: Attempt,
        result: Result<Stock<F>, Failure>,
        jitter: f64,
    },
    Loaded {
        attempt: Attempt,
        result: Result<R, Failure>,
        jitter: f64,
    },
    /// It is out of memory. The attempt is that of its load.
    Ended {
        attempt: Attempt,
        end: Ended,
        jitter: f64,
    },
    /// Some lease ended.
    Released,
    /// A deadline passed.
    Tick,
    Stop,
}

/// What is to be done.
pub enum Effect<R: Resource, F> {
    Fetch {
        attempt: Attempt,
        spec: Arc<ModelSpec>,
    },
    CancelFetch {
        attempt: Attempt,
    },
    Load {
        attempt: Attempt,
        spec: Arc<ModelSpec>,
        files: F,
    },
    /// To be dropped; [`Event::Ended`] follows.
    Unload {
        resource: R,
    },
    Answer {
        waiter: u64,
        answer: Answer<R>,
    },
    /// The configuration wants the process to end.
    Exit {
        reason: String,
    },
    /// For logs and metrics.
    Note(Note),
}

/// The one answer to a caller.
pub enum Answer<R: Resource> {
    Lease(R::Lease),
    Reached,
    Refused(Unavailable),
}

/// The files of a model and what it will take.
#[derive(Clone, Debug)]
pub struct Stock<F> {
    pub files: F,
    /// Bytes of memory.
    pub footprint: u64,
    pub device: Arc<str>,
    /// The commit that they are of, where the source has such a thing.
    pub revision: Option<String>,
}

/// A step that people want to read about.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    Downloading {
        model: ModelName,
        cause: Cause,
    },
    Downloaded {
        model: ModelName,
        slot: VersionId,
        took: Duration,
    },
    Loading {
        model: ModelName,
        footprint: u64,
    },
    Ready {
        model: ModelName,
        slot: VersionId,
        took: Duration,
    },
    /// Others go so that this one can come.
    Switching {
        from: Vec<ModelName>,
        to: ModelName,
    },
    Evicting {
        model: ModelName,
        reason: Reason,
        leased: bool,
    },
    Unloaded {
        model: ModelName,
        took: Duration,
        freed: Option<u64>,
    },
    Failed {
        model: ModelName,
        failure: Failure,
        attempts: u32,
        retry_in: Option<Duration>,
    },
    /// A model that was to be there from the start is not. `lazy`: it is left to the first request.
    PreloadFailed {
        model: ModelName,
        reason: String,
        lazy: bool,
    },
    /// A model that went for another comes back, since the other did not come.
    BringingBack {
        model: ModelName,
    },
    /// Another edition is on its way.
    Updating {
        model: ModelName,
        revision: Option<String>,
    },
    /// The other edition serves from now on.
    Updated {
        model: ModelName,
        from: Option<String>,
        to: Option<String>,
    },
    /// There was nothing to update.
    UpToDate {
        model: ModelName,
        revision: Option<String>,
    },
    UpdateFailed {
        model: ModelName,
        reason: String,
    },
    /// The configuration names it no more.
    Removed {
        model: ModelName,
    },
}

/// Why a model goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Idle,
    Room,
    Asked,
    Updated,
    Removed,
    /// The limits are lower than they were.
    Limits,
    Stopping,
}

// === impl Goal ===

impl WaitCondition {
    pub(super) fn target(self) -> TargetState {
        match self {
            Self::Lease { .. } | Self::Ready | Self::Updated => TargetState::Serve,
            Self::Fetched | Self::Unloaded => TargetState::Files,
        }
    }
}

// === impl Reason ===

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Room => "room",
            Self::Asked => "asked",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Limits => "limits",
            Self::Stopping => "stopping",
        }
    }
}
