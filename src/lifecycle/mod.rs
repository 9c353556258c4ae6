//! Which models are in memory: a pure state machine, a pure policy, and one driver that carries out what they decide.
//!
//! ```text
//! Lifecycle::acquire ──► driver (one task) ──► Machine::step (pure) ──► effects: fetch, load, unload, answer
//!        ▲                     ▲                    └─ residency (pure): who goes, to make room
//!        └── Lease ◄───────────┴── Backend: store + runtime report what became of it
//! ```
//!
//! Callers say what they want ([`Lifecycle::acquire`]) and never look and then act. Probes read a [`Snapshot`].

mod backend;
mod driver;
mod handle;
mod journal;
mod keep_alive;
mod lease_pool;
mod machine;
mod metrics;
mod residency;
mod snapshot;
mod unavailable;

use std::time::Duration;

pub use backend::{
    Backend, Cause, Ended, Facts, Failure, FamilyChoice, Fetched, Loaded, Local, ModelSpec, Obstacle, Progress, Report,
};
pub use handle::{AcquireOptions, Lease, Lifecycle, Target};
pub use keep_alive::{KeepAlive, NoKeepAlive};
pub use metrics::Metrics;
pub use residency::Budget;
pub use snapshot::{ErrorStatus, ModelStatus, Snapshot, Status, UpdateStatus};
pub use unavailable::Unavailable;

#[cfg(test)]
mod tests;

/// What [`hold`] is made of in the server.
mod sync {
    pub use std::sync::Arc;

    pub use tokio::sync::Notify;
}

/// What the lifecycle needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    pub mode: LoadMode,
    /// Models in memory at once, at most. 1: a request for another model switches.
    pub max_resident: Option<usize>,
    /// Memory that models may take together.
    pub memory_budget: Budget,
    /// Unload a model after so long without a request. `None`: never.
    pub idle_ttl: Option<Duration>,
    /// After a caller has waited so long for room, the model that is to go takes no new leases.
    pub room_patience: Duration,
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
