//! Callers that wait, and what for.

use std::time::Instant;

use crate::lifecycle::KeepAlive;

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
    /// To have the version in memory that is to take its place.
    Updated,
}

/// A caller that waits; it is answered exactly once, or leaves.
#[derive(Clone, Debug)]
pub struct Waiter {
    pub id: u64,
    pub condition: WaitCondition,
    pub since: Instant,
    /// When its timeout is over.
    pub until: Option<Instant>,
}

/// What a model is brought in for, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetState {
    /// Only to have its files.
    Files,
    /// To be there when somebody comes; not worth an eviction.
    Preload,
    /// Somebody came.
    Serve,
}

// === impl WaitCondition ===

impl WaitCondition {
    pub(super) fn target(self) -> TargetState {
        match self {
            Self::Lease { .. } | Self::Ready | Self::Updated => TargetState::Serve,
            Self::Fetched | Self::Unloaded => TargetState::Files,
        }
    }
}
