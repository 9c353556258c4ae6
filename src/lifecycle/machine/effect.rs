//! What the machine wants done, and what it tells.

use std::{sync::Arc, time::Duration};

use super::{Attempt, Resource, VersionId};
use crate::{
    lifecycle::{Budget, Cause, Failure, ModelSpec, Unavailable},
    model::Residency,
    speech::ModelName,
};

/// What is to be done.
pub enum Effect<R: Resource, F> {
    /// `budget`: what it must fit into, if it is to be loaded afterwards.
    Fetch {
        attempt: Attempt,
        spec: Arc<ModelSpec>,
        budget: Option<Budget>,
    },
    CancelFetch {
        attempt: Attempt,
    },
    Load {
        attempt: Attempt,
        spec: Arc<ModelSpec>,
        files: F,
        residency: Residency,
    },
    /// To be held in host memory; `Event::Warmed` follows.
    Warm {
        version: VersionId,
        spec: Arc<ModelSpec>,
        files: F,
    },
    /// To be dropped, which takes its time: they were held.
    Cool {
        files: F,
    },
    /// To be dropped; `Event::Ended` follows.
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

/// A step that people want to read about.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    Downloading {
        model: ModelName,
        cause: Cause,
    },
    Downloaded {
        model: ModelName,
        version: VersionId,
        took: Duration,
    },
    Loading {
        model: ModelName,
        footprint: u64,
    },
    Ready {
        model: ModelName,
        version: VersionId,
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
    /// Another version is on its way.
    Updating {
        model: ModelName,
        revision: Option<String>,
    },
    /// The other version serves from now on.
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
    Requested,
    Updated,
    Removed,
    /// The limits are lower than they were.
    Limits,
    Stopping,
}

// === impl Reason ===

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Room => "room",
            Self::Requested => "asked",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Limits => "limits",
            Self::Stopping => "stopping",
        }
    }
}
