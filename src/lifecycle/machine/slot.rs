//! One model's place in the machine: what each event means to it. How it changes is in [`moves`], what it is doing in
//! [`phase`], what may be asked of it in [`view`].

mod moves;
mod phase;
mod view;

use std::{
    mem,
    time::{Duration, Instant},
};

use self::phase::{Phase, Usage};
use super::{
    Answer, Attempt, Cause, Context, Effect, Ended, Failure, Goal, Note, Progress, Reason, Resource, Stock, Traits,
    Unavailable, Waiter,
};

pub(super) use self::phase::Desire;
pub(in crate::lifecycle) use self::view::View;

/// A model, what it is doing, and what outlives that.
pub(in crate::lifecycle) struct Slot<R, F> {
    at: usize,
    traits: Traits,
    phase: Phase<R, F>,
    /// In a row.
    failures: u32,
    preload: Preload,
    /// How long the last load took.
    reload: Option<Duration>,
}

/// What became of a model that is to be there from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Preload {
    No,
    /// `failed`: why it is not there yet, where trying again is of no use.
    Pending {
        failed: Option<String>,
    },
    Done,
}

// === impl Slot: events ===

impl<R: Resource, F: Clone> Slot<R, F> {
    pub fn new(at: usize, traits: Traits, preload: bool) -> Self {
        let preload = if preload && traits.preload { Preload::Pending { failed: None } } else { Preload::No };
        Self { at, traits, phase: Phase::Absent { stock: None }, failures: 0, preload, reload: None }
    }

    pub fn preload(&mut self, cx: &mut Context<'_, R, F>) {
        if matches!((&self.preload, &self.phase), (Preload::Pending { .. }, Phase::Absent { .. })) && !cx.stopping {
            self.bring(cx, Cause::Preload, Desire::Preload, Vec::new());
        }
    }

    /// Somebody wants something of this model: it is answered at once, or waits for what its ask sets going.
    pub fn ask(&mut self, cx: &mut Context<'_, R, F>, waiter: Waiter, explicit: bool) {
        if cx.stopping {
            return cx.refuse(&waiter, Unavailable::Stopping);
        }
        if let Some(answer) = self.at_once(&waiter, cx.now, explicit) {
            return cx.answer(&waiter, answer);
        }
        let desire = waiter.goal.desire();
        match &mut self.phase {
            Phase::Absent { .. } | Phase::Failed { .. } => {
                let cause = match (&self.phase, explicit) {
                    (_, true) => Cause::Asked,
                    (Phase::Failed { .. }, false) => Cause::Retry,
                    _ => Cause::Request,
                };
                self.bring(cx, cause, desire, vec![waiter]);
            }
            Phase::Downloading { desire: wanted, waiters, .. } | Phase::Fetched { desire: wanted, waiters, .. } => {
                *wanted = desire.max(*wanted);
                waiters.push(waiter);
            }
            Phase::Ready { .. } => {
                self.evict(cx, Reason::Asked);
                self.phase.waiters_mut().into_iter().for_each(|waiters| waiters.push(waiter.clone()));
            }
            Phase::Loading { waiters, .. } | Phase::Draining { waiters, .. } | Phase::Unloading { waiters, .. } => {
                waiters.push(waiter);
            }
        }
    }

    /// The answer, if it does not take waiting.
    fn at_once(&mut self, waiter: &Waiter, now: Instant, explicit: bool) -> Option<Answer<R>> {
        let name = &self.traits.name;
        let answer = match (waiter.goal, &mut self.phase) {
            (Goal::Lease, Phase::Ready { resource, usage, .. }) => {
                *usage = Usage::Leased;
                Answer::Lease(resource.clone())
            }
            (Goal::Ready, Phase::Ready { .. }) => Answer::Reached,
            (Goal::Fetched, phase) if phase.stock().is_some() => Answer::Reached,
            (Goal::Unloaded, Phase::Absent { .. } | Phase::Failed { .. }) => Answer::Reached,
            (Goal::Unloaded, Phase::Downloading { .. } | Phase::Fetched { .. } | Phase::Loading { .. }) => {
                Answer::Refused(self.not_yet(now))
            }
            (_, Phase::Failed { failure, retry_at, .. }) if !explicit && retry_at.is_none_or(|at| now < at) => {
                Answer::Refused(failure.told(name, retry_at.map(|at| at - now)))
            }
            _ => return None,
        };
        Some(answer)
    }

    pub fn forget(&mut self, waiter: u64) {
        if let Some(waiters) = self.phase.waiters_mut() {
            waiters.retain(|other| other.id != waiter);
        }
    }

    pub fn progress(&mut self, news: Attempt, now_at: Progress) {
        if let Phase::Downloading { attempt, progress, .. } = &mut self.phase
            && *attempt == news
        {
            *progress = now_at;
        }
    }

    pub fn fetched(
        &mut self,
        cx: &mut Context<'_, R, F>,
        news: Attempt,
        result: Result<Stock<F>, Failure>,
        jitter: f64,
    ) {
        match self.take() {
            Phase::Downloading { attempt, since, desire, waiters, .. } if attempt == news => match result {
                Ok(stock) => {
                    cx.note(Note::Downloaded { slot: self.at, took: cx.now.saturating_duration_since(since) });
                    self.shelve(cx, stock, desire, waiters, cx.now);
                }
                Err(failure) => self.fail(cx, failure, waiters, jitter),
            },
            other => self.phase = other,
        }
    }

    pub fn loaded(&mut self, cx: &mut Context<'_, R, F>, news: Attempt, result: Result<R, Failure>, jitter: f64) {
        match self.take() {
            Phase::Loading { attempt, since, stock, waiters } if attempt == news => match result {
                Ok(resource) => {
                    let took = cx.now.saturating_duration_since(since);
                    self.reload = Some(took);
                    let usage = Usage::Idle { since: cx.now };
                    self.phase = Phase::Ready { attempt, since: cx.now, stock, resource, usage };
                    cx.note(Note::Ready { slot: self.at, took });
                    self.welcome(cx, waiters);
                }
                Err(failure) => self.fail(cx, failure, waiters, jitter),
            },
            other => self.phase = other,
        }
    }

    /// Its memory is free.
    pub fn ended(&mut self, cx: &mut Context<'_, R, F>, news: Attempt, end: Ended, jitter: f64) {
        match self.take() {
            Phase::Unloading { attempt, since, stock, waiters } if attempt == news => {
                let took = cx.now.saturating_duration_since(since);
                cx.note(Note::Unloaded { slot: self.at, took, freed: end.freed });
                self.after_unloading(cx, stock, waiters);
            }
            Phase::Ready { attempt, since, .. } if attempt == news => {
                self.died(cx, since, Vec::new(), end.died, jitter)
            }
            Phase::Draining { attempt, since, waiters, .. } if attempt == news => {
                self.died(cx, since, waiters, end.died, jitter);
            }
            other => self.phase = other,
        }
    }

    /// Nobody is served any more; everything goes as soon as it can.
    pub fn stop(&mut self, cx: &mut Context<'_, R, F>) {
        for waiter in self.take_waiters() {
            cx.refuse(&waiter, Unavailable::Stopping);
        }
        match &mut self.phase {
            Phase::Downloading { attempt, .. } => {
                cx.out.push(Effect::CancelFetch { attempt: *attempt });
                self.phase = Phase::Absent { stock: None };
            }
            Phase::Fetched { stock, .. } => self.phase = Phase::Absent { stock: Some(stock.clone()) },
            Phase::Ready { .. } => self.evict(cx, Reason::Stopping),
            Phase::Absent { .. }
            | Phase::Loading { .. }
            | Phase::Draining { .. }
            | Phase::Unloading { .. }
            | Phase::Failed { .. } => {}
        }
    }
}

// === impl Slot: invariants ===

impl<R: Resource, F: Clone> Slot<R, F> {
    /// Notices what time and leases did.
    pub fn observe(&mut self, cx: &mut Context<'_, R, F>) {
        let again = self.retries_by_itself() && !cx.stopping;
        match &mut self.phase {
            Phase::Ready { resource, usage, .. } => {
                if *usage == Usage::Leased && !resource.leased() {
                    *usage = Usage::Idle { since: cx.now };
                }
                if self.idle_deadline().is_some_and(|deadline| cx.now >= deadline) {
                    self.evict(cx, Reason::Idle);
                }
            }
            Phase::Draining { .. } => self.drained(cx),
            Phase::Failed { retry_at: Some(retry_at), .. } if again && cx.now >= *retry_at => {
                self.bring(cx, Cause::Retry, Desire::Preload, Vec::new());
            }
            _ => {}
        }
    }

    /// Answers those whose patience is over. What they set going goes on.
    pub fn lose_patience(&mut self, cx: &mut Context<'_, R, F>) {
        let over = |waiter: &Waiter| waiter.until.is_some_and(|until| cx.now >= until);
        let Some(waiters) = self.phase.waiters_mut() else { return };
        let (tired, patient): (Vec<_>, Vec<_>) = mem::take(waiters).into_iter().partition(over);
        *waiters = patient;
        for waiter in tired {
            let refusal = self.not_yet(cx.now);
            cx.refuse(&waiter, refusal);
        }
    }

    /// The next time that something here becomes due.
    pub fn deadline(&self, stopping: bool) -> Option<Instant> {
        let patience = self.phase.waiters().iter().filter_map(|waiter| waiter.until).min();
        let retry = match &self.phase {
            Phase::Failed { retry_at, .. } if self.retries_by_itself() && !stopping => *retry_at,
            _ => None,
        };
        patience.into_iter().chain(retry).chain(self.idle_deadline()).min()
    }

    fn retries_by_itself(&self) -> bool {
        matches!(self.preload, Preload::Pending { .. })
    }

    fn idle_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Ready { usage: Usage::Idle { since }, .. } if !self.traits.pinned => {
                self.traits.idle_ttl.map(|ttl| *since + ttl)
            }
            _ => None,
        }
    }

    fn take(&mut self) -> Phase<R, F> {
        mem::replace(&mut self.phase, Phase::Absent { stock: None })
    }
}
