//! What a step of the machine is taken with, and what it leaves to do.

use std::time::{Duration, Instant};

use super::{Answer, Effect, Note, Resource, Rules, VersionId, Waiter};
use crate::{
    lifecycle::{Failure, Unavailable},
    speech::ModelName,
};

/// What a version needs while it changes, and what it leaves to do.
pub(super) struct Context<'a, R: Resource, F> {
    pub now: Instant,
    pub rules: &'a Rules,
    pub numbers: &'a mut u64,
    pub started: bool,
    /// Nothing is brought in any more.
    pub stopping: bool,
    pub out: Vec<Effect<R, F>>,
    /// Callers whose version did not come: the one that there is has to serve them.
    pub orphans: Vec<(ModelName, Waiter)>,
    /// Versions that went for one that did not come.
    pub displaced: Vec<VersionId>,
}

// === impl Context ===

impl<R: Resource, F> Context<'_, R, F> {
    /// For a version or an attempt.
    pub fn number(&mut self) -> u64 {
        next(self.numbers)
    }

    pub fn note(&mut self, note: Note) {
        self.out.push(Effect::Note(note));
    }

    pub fn answer(&mut self, waiter: &Waiter, answer: Answer<R>) {
        self.out.push(Effect::Answer { waiter: waiter.id, answer });
    }

    pub fn refuse(&mut self, waiter: &Waiter, refusal: Unavailable) {
        self.answer(waiter, Answer::Refused(refusal));
    }

    pub fn refuse_unknown(&mut self, waiter: &Waiter, model: ModelName) {
        let refusal = if self.stopping { Unavailable::Stopping } else { Unavailable::NotServed { model } };
        self.refuse(waiter, refusal);
    }

    /// Exponential back-off, of which the upper half is random, and never sooner than the other side allows.
    pub fn back_off(&self, failure: &Failure, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.rules.retry_base.saturating_mul(1 << doublings).min(self.rules.retry_max);
        full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0).max(failure.retry_after.unwrap_or_default())
    }
}

/// Counts on.
pub(super) fn next(numbers: &mut u64) -> u64 {
    *numbers += 1;
    *numbers
}
