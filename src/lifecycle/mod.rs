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
mod clock;
mod command;
mod config;
mod driver;
mod footprint;
mod handle;
mod keep_alive;
mod lease;
mod lease_pool;
mod loaded_model;
mod local;
mod log;
mod machine;
mod metrics;
mod model_spec;
mod residency;
mod shared;
mod snapshot;
mod unavailable;

pub use backend::{
    Backend, Cause, Ended, Facts, Failure, Fetched, Loaded, Obstacle, OnDisk, Progress, Report, TooLarge,
};
pub use config::{Config, LoadMode, OnPreloadFailure};
pub use footprint::Footprint;
pub use handle::{Lifecycle, Target};
pub use keep_alive::{KeepAlive, NoKeepAlive};
pub use lease::{AcquireOptions, Lease};
pub use local::Local;
pub use metrics::Metrics;
pub use model_spec::{FamilyChoice, ModelSpec};
pub use residency::Budget;
pub use snapshot::{ErrorStatus, ModelStatus, Snapshot, Status, Tier, UpdateStatus};
pub use unavailable::Unavailable;

#[cfg(test)]
mod tests;

/// What [`lease_pool`] is made of in the server.
mod sync {
    pub use std::sync::Arc;

    pub use tokio::sync::Notify;
}
