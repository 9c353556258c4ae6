//! The right to use a loaded model, and how one asks for it.

use std::{
    ops::Deref,
    time::{Duration, Instant},
};

use super::{KeepAlive, command::Granted, lease_pool::LeaseGuard};
use crate::{
    model::Request,
    runtime::{Executor, Rejected, Runnable},
};

/// The right to use a loaded model, which is not unloaded as long as this exists.
pub struct Lease<E = Executor> {
    guard: LeaseGuard<E>,
    waited: Duration,
    /// When the caller came, if it waited in line for the model.
    in_line_since: Option<Instant>,
}

/// What a request wants of its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquireOptions {
    /// How long it waits for the model.
    pub timeout: Duration,
    /// How long the model is to stay afterwards. `None`: as the request before said, or else the configuration.
    pub keep_alive: Option<KeepAlive>,
    /// Whether it waits for the next try where the last one failed, as long as there is time.
    pub sits_out_failures: bool,
}

// === impl Lease ===

impl<E> Lease<E> {
    pub(super) fn new(granted: Granted<E>, asked: Instant, waited: Duration) -> Self {
        let Granted { guard, in_line } = granted;
        Self { guard, waited, in_line_since: in_line.then_some(asked) }
    }

    /// How long the caller waited for the model.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Lease {
    /// As [`Executor::submit`], where who waited for the model keeps the place that it had in line: all who were let in to
    /// wait are served, in their order.
    pub fn submit<T: Runnable>(&self, request: Request<T>) -> Result<(), Rejected> {
        match self.in_line_since {
            Some(since) => self.guard.model().submit_in_line(request, since),
            None => self.guard.model().submit(request),
        }
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
        Self { timeout, keep_alive: None, sits_out_failures: true }
    }
}
