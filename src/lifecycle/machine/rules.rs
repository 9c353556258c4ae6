//! What holds for all models.

use std::time::Duration;

use crate::lifecycle::{LoadMode, OnPreloadFailure, residency::Limits};

/// What holds for all models.
#[derive(Clone, Debug)]
pub struct Rules {
    pub mode: LoadMode,
    pub limits: Limits,
    /// Of models that do not say it themselves.
    pub idle_ttl: Option<Duration>,
    /// Callers that may wait for one model.
    pub max_waiters: usize,
    pub retry_base: Duration,
    pub retry_max: Duration,
    pub on_preload_failure: OnPreloadFailure,
}
