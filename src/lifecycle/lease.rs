//! The right to use a loaded model, and how one asks for it.

use std::{ops::Deref, time::Duration};

use super::{KeepAlive, lease_pool::LeaseGuard};
use crate::runtime::Executor;

/// The right to use a loaded model, which is not unloaded as long as this exists.
pub struct Lease<E = Executor> {
    guard: LeaseGuard<E>,
    waited: Duration,
}

/// What a request wants of its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquireOptions {
    /// How long it waits for the model.
    pub timeout: Duration,
    /// How long the model is to stay afterwards. `None`: as the request before said, or else the configuration.
    pub keep_alive: Option<KeepAlive>,
}

// === impl Lease ===

impl<E> Lease<E> {
    pub(super) fn new(guard: LeaseGuard<E>, waited: Duration) -> Self {
        Self { guard, waited }
    }

    /// How long the caller waited for the model.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl<E> Deref for Lease<E> {
    type Target = E;

    fn deref(&self) -> &E {
        self.guard.model()
    }
}

impl<E> std::fmt::Debug for Lease<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("waited", &self.waited).finish_non_exhaustive()
    }
}

// === impl AcquireOptions ===

impl AcquireOptions {
    /// To have the model within so long, and nothing else.
    pub fn within(timeout: Duration) -> Self {
        Self { timeout, keep_alive: None }
    }
}
