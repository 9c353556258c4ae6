//! One version of a model: what each event means to it. How it changes is in [`moves`], what it is doing in [`phase`],
//! what may be asked of it in [`view`], and how its files stay in host memory in [`warm`].

mod moves;
mod phase;
mod view;
mod warm;

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use self::phase::{Phase, Refusal, Usage};
use super::{
    Answer, Attempt, Context, Effect, Note, Reason, Resource, Rules, Stock, VersionId, ViewError, WaitCondition,
    Waiter, queue_estimate::QueueEstimate, waiter::TargetState, warmth::Warmth,
};
use crate::{
    lifecycle::{Cause, Ended, Failure, KeepAlive, ModelSpec, Obstacle, Progress, Unavailable},
    speech::Fault,
};

/// A version of a model, what it is doing, and what outlives that.
pub(super) struct ModelVersion<R, F> {
    id: VersionId,
    spec: Arc<ModelSpec>,
    role: Role,
    phase: Phase<R, F>,
    /// In a row.
    failures: u32,
    preload: Preload,
    /// How long the last load took.
    reload: Option<Duration>,
    /// As the last request that said so wants it, while it is in memory.
    keep_alive: Option<KeepAlive>,
    pace: Pace,
    /// Bytes that came back when it was last unloaded.
    freed: Option<u64>,
    pub(super) warmth: Warmth<F>,
}

/// What it is to its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Whoever asks for the model gets it.
    Serving,
    /// To take the place of the one that serves. If it does not come, its callers are the other's.
    Next,
    /// It goes as soon as it can.
    Former(Reason),
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

/// When its next request may be expected.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// When its last request ended, if none came since.
    rested: Option<Instant>,
    /// For how long it had rested when the last one came.
    gap: Option<Duration>,
    /// When the last of those comes back who were told to.
    returns: Option<Instant>,
}

// === impl ModelVersion: events ===

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    pub fn new(id: VersionId, spec: Arc<ModelSpec>, role: Role, preloads: bool) -> Self {
        let preload = if preloads && spec.preload { Preload::Pending { failed: None } } else { Preload::No };
        let phase = Phase::Absent { stock: None };
        let (pace, warmth) = (Pace::default(), Warmth::Cold);
        Self { id, spec, role, phase, failures: 0, preload, reload: None, keep_alive: None, pace, freed: None, warmth }
    }

    pub fn preload(&mut self, cx: &mut Context<'_, R, F>) {
        if matches!((&self.preload, &self.phase), (Preload::Pending { .. }, Phase::Absent { .. })) && !cx.stopping {
            self.bring(cx, Cause::Preload, TargetState::Preload, Vec::new());
        }
    }

    /// Somebody wants something of this model: it is answered at once, or waits for what its ask sets going.
    pub fn ask(&mut self, cx: &mut Context<'_, R, F>, waiter: Waiter, explicit: bool) {
        if cx.stopping {
            let lease = self.at_once(&waiter, cx.now, explicit).filter(|answer| matches!(answer, Answer::Lease(_)));
            return cx.answer(&waiter, lease.unwrap_or(Answer::Refused(Unavailable::Stopping)));
        }
        if matches!(waiter.condition, WaitCondition::Lease { .. }) {
            self.pace.asked(cx.now);
        }
        if waiter.condition == WaitCondition::Unloaded {
            self.cool(cx);
        }
        if let Some(answer) = self.at_once(&waiter, cx.now, explicit) {
            return cx.answer(&waiter, answer);
        }
        if let Some(refusal) = self.crowded(&waiter, cx) {
            return cx.refuse(&waiter, refusal);
        }
        let target = waiter.condition.target();
        match &mut self.phase {
            Phase::Absent { .. } | Phase::Failed { .. } => {
                let cause = match (&self.phase, explicit) {
                    (_, true) => Cause::Requested,
                    (Phase::Failed { .. }, false) => Cause::Retry,
                    _ => Cause::Request,
                };
                self.bring(cx, cause, target, vec![waiter]);
            }
            Phase::Downloading { target: wanted, waiters, .. } | Phase::Fetched { target: wanted, waiters, .. } => {
                *wanted = target.max(*wanted);
                waiters.push(waiter);
            }
            Phase::Ready { .. } => {
                self.evict(cx, Reason::Requested);
                self.phase.waiters_mut().into_iter().for_each(|waiters| waiters.push(waiter.clone()));
            }
            Phase::Loading { waiters, .. } | Phase::Draining { waiters, .. } | Phase::Unloading { waiters, .. } => {
                waiters.push(waiter);
            }
        }
    }

    /// Why a caller may not wait, if so. The bound holds when it comes: whoever was let in is served.
    fn crowded(&self, waiter: &Waiter, cx: &Context<'_, R, F>) -> Option<Unavailable> {
        let for_lease = |waiter: &&Waiter| matches!(waiter.condition, WaitCondition::Lease { .. });
        let waiting = self.phase.waiters().iter().filter(for_lease).count();
        let crowded = for_lease(&waiter) && waiting >= cx.rules.max_waiters;
        crowded.then(|| Unavailable::Crowded {
            model: self.name().clone(),
            waiting,
            retry_after: self.not_yet(cx.now, None).retry_after().unwrap_or(cx.rules.retry_base),
        })
    }

    /// The answer, if it does not take waiting.
    fn at_once(&mut self, waiter: &Waiter, now: Instant, explicit: bool) -> Option<Answer<R>> {
        let name = &self.spec.name;
        let answer = match (waiter.condition, &mut self.phase) {
            (WaitCondition::Lease { keep_alive }, Phase::Ready { resource, usage, .. }) => {
                *usage = Usage::Leased;
                self.keep_alive = keep_alive.or(self.keep_alive);
                Answer::Lease(resource.lend())
            }
            (WaitCondition::Ready | WaitCondition::Updated, Phase::Ready { .. }) => Answer::Reached,
            (WaitCondition::Fetched, phase) if phase.stock().is_some() => Answer::Reached,
            (WaitCondition::Unloaded, Phase::Absent { .. } | Phase::Failed { .. }) => Answer::Reached,
            (WaitCondition::Unloaded, Phase::Downloading { .. } | Phase::Fetched { .. } | Phase::Loading { .. }) => {
                Answer::Refused(self.not_yet(now, None))
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

    pub fn progress(&mut self, now_at: Progress) {
        if let Phase::Downloading { progress, .. } = &mut self.phase {
            *progress = now_at;
        }
    }

    pub fn fetched(&mut self, cx: &mut Context<'_, R, F>, result: Result<Stock<F>, Failure>, jitter: f64) {
        match self.take() {
            Phase::Downloading { since, target, waiters, .. } => match result {
                Ok(stock) => {
                    let took = cx.now.saturating_duration_since(since);
                    cx.note(Note::Downloaded { model: self.name().clone(), version: self.id, took });
                    self.wait_for_room(cx, stock, target, waiters, cx.now);
                }
                Err(Failure { obstacle: Some(Obstacle::TooLarge(size)), .. }) => {
                    self.too_large(cx, size, target, waiters);
                }
                Err(failure) => self.fail(cx, failure, waiters, jitter),
            },
            other => self.phase = other,
        }
    }

    pub fn loaded(&mut self, cx: &mut Context<'_, R, F>, result: Result<R, Failure>, jitter: f64) {
        match self.take() {
            Phase::Loading { attempt, since, stock, displaced, waiters } => match result {
                Ok(resource) => {
                    let took = cx.now.saturating_duration_since(since);
                    self.reload = Some(took);
                    let usage = Usage::Idle { since: cx.now };
                    self.phase = Phase::Ready { attempt, since: cx.now, stock, resource, usage };
                    cx.note(Note::Ready { model: self.name().clone(), version: self.id, took });
                    self.welcome(cx, waiters);
                }
                Err(failure) => {
                    cx.displaced.extend(displaced);
                    self.fail(cx, failure, waiters, jitter);
                }
            },
            other => self.phase = other,
        }
    }

    /// Its memory is free.
    pub fn ended(&mut self, cx: &mut Context<'_, R, F>, end: Ended, jitter: f64) {
        match self.take() {
            Phase::Unloading { since, stock, waiters, .. } => {
                let took = cx.now.saturating_duration_since(since);
                self.freed = end.freed;
                cx.note(Note::Unloaded { model: self.name().clone(), took, freed: end.freed });
                self.after_unloading(cx, stock, waiters);
            }
            Phase::Ready { since, .. } => self.died(cx, since, Vec::new(), end.died, jitter),
            Phase::Draining { since, waiters, .. } => self.died(cx, since, waiters, end.died, jitter),
            other => self.phase = other,
        }
    }

    /// It has no place any more: it goes as soon as it can. Its waiters must have been taken from it.
    pub fn retire(&mut self, cx: &mut Context<'_, R, F>, reason: Reason) {
        self.role = Role::Former(reason);
        self.cool(cx);
        self.preload = Preload::No;
        match self.take() {
            Phase::Downloading { attempt, .. } => cx.out.push(Effect::CancelFetch { attempt }),
            Phase::Fetched { stock, displaced, .. } => {
                cx.displaced.extend(displaced);
                self.phase = Phase::Absent { stock: Some(stock) };
            }
            ready @ Phase::Ready { .. } => {
                self.phase = ready;
                self.evict(cx, reason);
            }
            other => self.phase = other,
        }
    }
}

// === impl ModelVersion: invariants ===

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    /// Notices what time and leases did.
    pub fn observe(&mut self, cx: &mut Context<'_, R, F>) {
        let again = self.retries_by_itself() && !cx.stopping;
        match &mut self.phase {
            Phase::Ready { resource, usage, .. } => {
                if *usage == Usage::Leased && !resource.leased() {
                    *usage = Usage::Idle { since: cx.now };
                    self.pace.rested = Some(cx.now);
                }
                if self.idle_deadline(cx.rules).is_some_and(|deadline| cx.now >= deadline) {
                    self.evict(cx, Reason::Idle);
                }
            }
            Phase::Draining { .. } => self.drained(cx),
            Phase::Failed { retry_at: Some(retry_at), .. } if again && cx.now >= *retry_at => {
                self.bring(cx, Cause::Retry, TargetState::Preload, Vec::new());
            }
            _ => {}
        }
    }

    /// Answers those whose timeout is over. What they set going goes on.
    pub fn time_out(&mut self, cx: &mut Context<'_, R, F>, estimate: Option<&QueueEstimate>) {
        let is_over = |waiter: &Waiter| waiter.until.is_some_and(|until| cx.now >= until);
        let Some(waiters) = self.phase.waiters_mut() else { return };
        let (over, waiting): (Vec<_>, Vec<_>) = mem::take(waiters).into_iter().partition(is_over);
        *waiters = waiting;
        for waiter in over {
            let refusal = self.not_yet(cx.now, estimate);
            if matches!(waiter.condition, WaitCondition::Lease { .. }) {
                self.pace.told(cx.now, refusal.retry_after());
            }
            cx.refuse(&waiter, refusal);
        }
    }

    /// The next time that something here becomes due.
    pub fn deadline(&self, rules: &Rules, stopping: bool) -> Option<Instant> {
        let timeout = self.phase.waiters().iter().filter_map(|waiter| waiter.until).min();
        let retry = match &self.phase {
            Phase::Failed { retry_at, .. } if self.retries_by_itself() && !stopping => *retry_at,
            _ => None,
        };
        timeout.into_iter().chain(retry).chain(self.idle_deadline(rules)).min()
    }

    fn retries_by_itself(&self) -> bool {
        self.role == Role::Serving && matches!(self.preload, Preload::Pending { .. })
    }

    fn take(&mut self) -> Phase<R, F> {
        mem::replace(&mut self.phase, Phase::Absent { stock: None })
    }
}

// === impl ModelVersion: the configuration and other versions ===

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    /// Everything but what is loaded is as the configuration says now.
    pub fn adopt(&mut self, spec: &ModelSpec) {
        self.spec = Arc::new(self.spec.under_terms_of(spec));
        if !spec.preload {
            self.preload = Preload::No;
        }
    }

    /// What is here is also what that source has.
    pub fn comes_from(&mut self, spec: &ModelSpec) {
        self.spec = Arc::new(ModelSpec { parts: spec.parts.clone(), ..(*self.spec).clone() });
    }

    /// It is to be there without being asked for.
    pub fn expect(&mut self) {
        let there = matches!(self.phase, Phase::Ready { .. });
        self.preload = if there { Preload::Done } else { Preload::Pending { failed: None } };
    }

    /// It is to be what the other did not become.
    pub fn replaces(&mut self, other: &Self) {
        self.preload = other.preload.clone();
    }

    /// It serves in place of the other.
    pub fn succeeds(&mut self, other: &Self) {
        self.role = Role::Serving;
        self.preload = if other.preload == Preload::No { Preload::No } else { Preload::Done };
        self.keep_alive = self.keep_alive.or(other.keep_alive);
        self.pace = other.pace;
    }

    /// What did not fit under other limits is looked at again, and what waits for room may need another way to live in it.
    pub fn forget_limits(&mut self, rules: &Rules) {
        match &mut self.phase {
            Phase::Failed { stock, failure: Refusal::WontFit { .. }, .. } => {
                self.phase = Phase::Absent { stock: stock.take() };
            }
            Phase::Fetched { stock, .. } => stock.settle(&rules.limits.budget),
            _ => {}
        }
    }
}

// === impl Pace ===

impl Pace {
    fn asked(&mut self, now: Instant) {
        if let Some(rested) = self.rested.take() {
            self.gap = Some(now.saturating_duration_since(rested));
        }
    }

    /// A caller goes, and was told when to come back.
    fn told(&mut self, now: Instant, after: Option<Duration>) {
        self.returns = self.returns.max(after.and_then(|after| now.checked_add(after)));
    }
}
