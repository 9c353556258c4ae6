//! What happens to the machine.

use std::sync::Arc;

use super::{Attempt, Rules, VersionId, Waiter};
use crate::{
    lifecycle::{Budget, Ended, Failure, Footprint, ModelSpec, Progress},
    model::Residency,
    speech::ModelName,
};

/// What happened. `jitter` is from 0 to 1.
pub enum Event<R, F> {
    /// The server is up.
    Start,
    Ask {
        model: ModelName,
        waiter: Waiter,
        explicit: bool,
    },
    /// Another version is wanted in place of the one that there is.
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
    /// The files of a version are held in host memory, or could not be.
    Warmed {
        version: VersionId,
        files: Option<F>,
    },
    /// Some lease ended.
    Released,
    /// A deadline passed.
    Tick,
    /// Nothing is brought in any more; what is in memory serves on.
    Drain,
    /// Nobody is served any more.
    Stop,
}

/// The files of a model and what it will take.
#[derive(Clone, Debug)]
pub struct Stock<F> {
    pub files: F,
    /// Bytes of them.
    pub size: u64,
    pub footprint: Footprint,
    /// How its parts are to share the device under the limits of its last load.
    pub residency: Residency,
    pub device: Arc<str>,
    /// The commit that they are of, where the source has such a thing.
    pub revision: Option<String>,
}

// === impl Stock ===

impl<F> Stock<F> {
    /// Decides how its parts are to share their device.
    pub fn settle(&mut self, budget: &Budget) {
        self.residency = self.footprint.residency(budget.on(&self.device));
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> u64 {
        self.footprint.bytes(self.residency)
    }
}
