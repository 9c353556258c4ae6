//! What the lifecycle needs to know.

use std::time::Duration;

use super::Budget;

/// What the lifecycle needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    pub mode: LoadMode,
    /// Models in memory at once, at most. 1: a request for another model switches.
    pub max_resident: Option<usize>,
    /// Memory that models may take together.
    pub memory_budget: Budget,
    /// Bytes of host memory in which models may stay that left an accelerator.
    pub memory_warm: u64,
    /// Unload a model after so long without a request. `None`: never.
    pub idle_ttl: Option<Duration>,
    /// After a caller has waited so long for room, the model that is to go takes no new leases.
    pub room_patience: Duration,
    /// Callers that may wait for one model that is not there; one more is refused when it comes.
    pub max_waiters: usize,
    /// First delay after a failure; doubles with each further one.
    pub retry_base: Duration,
    pub retry_max: Duration,
    pub on_preload_failure: OnPreloadFailure,
}

/// When models are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// Before the server counts as healthy.
    Startup,
    /// At the first request for each.
    #[default]
    OnDemand,
    /// Right after the start; healthy meanwhile.
    Background,
}

/// What becomes of a start whose models cannot be loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPreloadFailure {
    /// Stay up and unhealthy, with the reason, and try again.
    #[default]
    Retry,
    /// End the process.
    Exit,
    /// Count as healthy, with a warning; the first request tries again.
    Lazy,
}

// === impl LoadMode ===

impl LoadMode {
    /// As it is configured and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::OnDemand => "on_demand",
            Self::Background => "background",
        }
    }
}
