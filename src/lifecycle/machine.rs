//! The state of every model and how it changes: pure, without clock, task, lock or I/O.
//!
//! ```text
//!           wanted             fetched           room             loaded + warm
//! Absent ───────────► Downloading ─────► Fetched ──────► Loading ──────────► Ready ──────────┐
//!  ▲  ▲                   │ err             │ never fits     │ err            │ │ in use     │ idle, and evicted,
//!  │  │    asked, or      │                 ▼                │           died │ ▼            │ asked or stopping
//!  │  └──── retry_at ─── Failed ◄───────────┴────────────────┴────────────────┘ Draining     │
//!  │                                                                            │ unused     │
//!  └──────────────────────────────────── ended ─────────── Unloading ◄──────────┴────────────┘
//! ```
//!
//! A model that is unloaded keeps its files, so `Absent` with files goes to `Fetched` directly. `Draining` and
//! `Unloading` collect callers who want the model again; they make it `Fetched` once its memory is free.
//!
//! Each [`Machine::step`] applies one event and then restores the invariants: who has left or run out of patience is
//! gone, what is idle for too long goes, whoever waits for room gets it in order of arrival.

mod slot;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub(super) use self::slot::View;
use self::slot::{Desire, Slot};
use super::{
    Cause, Ended, Failure, LoadMode, OnPreloadFailure, Progress, Unavailable,
    residency::{Limits, Verdict, make_room},
};
use crate::speech::ModelName;

/// A loaded model, as far as the machine must know it. Only the machine makes clones of one, for leases.
pub(super) trait Resource: Clone {
    /// Whether any clone but the machine's own exists.
    fn leased(&self) -> bool;
}

/// All models. `R` is a loaded model, `F` are the files of one.
pub(super) struct Machine<R, F> {
    rules: Rules,
    slots: Vec<Slot<R, F>>,
    attempts: u64,
    stopping: bool,
}

/// What holds for all models.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub mode: LoadMode,
    pub limits: Limits,
    pub retry_base: Duration,
    pub retry_max: Duration,
    pub on_preload_failure: OnPreloadFailure,
}

/// What is known of a model from the start.
#[derive(Clone, Debug)]
pub(super) struct Traits {
    pub name: ModelName,
    pub preload: bool,
    pub pinned: bool,
    pub idle_ttl: Option<Duration>,
}

/// Names one fetch or one load, so that news of an earlier one is recognised.
pub(super) type Attempt = u64;

/// What a caller wants of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To use it.
    Lease,
    /// To have it in memory.
    Ready,
    /// To have its files.
    Fetched,
    /// To have it out of memory.
    Unloaded,
}

/// A caller that waits; it is answered exactly once, or leaves.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub id: u64,
    pub goal: Goal,
    pub since: Instant,
    /// When its patience ends.
    pub until: Option<Instant>,
}

/// What happened. `slot` is the place of a model in the list that the machine was made of; `jitter` is from 0 to 1.
#[derive(Debug)]
pub(super) enum Event<R, F> {
    /// The server is up.
    Start,
    Ask {
        slot: usize,
        waiter: Waiter,
        explicit: bool,
    },
    /// A caller does not wait any more.
    Left {
        waiter: u64,
    },
    Progress {
        slot: usize,
        attempt: Attempt,
        progress: Progress,
    },
    Fetched {
        slot: usize,
        attempt: Attempt,
        result: Result<Stock<F>, Failure>,
        jitter: f64,
    },
    Loaded {
        slot: usize,
        attempt: Attempt,
        result: Result<R, Failure>,
        jitter: f64,
    },
    /// It is out of memory.
    Ended {
        slot: usize,
        attempt: Attempt,
        end: Ended,
        jitter: f64,
    },
    /// Some lease ended.
    Released,
    /// A deadline passed.
    Tick,
    Stop,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Effect<R, F> {
    Fetch {
        slot: usize,
        attempt: Attempt,
    },
    CancelFetch {
        attempt: Attempt,
    },
    Load {
        slot: usize,
        attempt: Attempt,
        files: F,
    },
    /// To be dropped; [`Event::Ended`] follows.
    Unload {
        resource: R,
    },
    Answer {
        waiter: u64,
        answer: Answer<R>,
    },
    /// The configuration wants the process to end.
    Exit {
        reason: String,
    },
    /// For logs and metrics.
    Note(Note),
}

/// The one answer to a caller.
#[derive(Debug)]
pub(super) enum Answer<R> {
    Lease(R),
    Reached,
    Refused(Unavailable),
}

/// The files of a model and what it will take.
#[derive(Clone, Debug)]
pub(super) struct Stock<F> {
    pub files: F,
    /// Bytes of memory.
    pub footprint: u64,
}

/// A step that people want to read about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Note {
    Downloading {
        slot: usize,
        cause: Cause,
    },
    Downloaded {
        slot: usize,
        took: Duration,
    },
    Loading {
        slot: usize,
        footprint: u64,
    },
    Ready {
        slot: usize,
        took: Duration,
    },
    /// Others go so that this one can come.
    Switching {
        from: Vec<usize>,
        to: usize,
    },
    Evicting {
        slot: usize,
        reason: Reason,
        leased: bool,
    },
    Unloaded {
        slot: usize,
        took: Duration,
        freed: Option<u64>,
    },
    Failed {
        slot: usize,
        failure: Failure,
        attempts: u32,
        retry_in: Option<Duration>,
    },
    /// A model that was to be there from the start is not.
    PreloadFailed {
        slot: usize,
        reason: String,
    },
}

/// Why a model goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Idle,
    Room,
    Asked,
    Stopping,
}

/// What a slot needs while it changes.
struct Context<'a, R, F> {
    now: Instant,
    rules: &'a Rules,
    attempts: &'a mut u64,
    stopping: bool,
    out: Vec<Effect<R, F>>,
}

// === impl Machine ===

impl<R: Resource, F: Clone> Machine<R, F> {
    pub fn new(rules: Rules, models: Vec<Traits>) -> Self {
        let preload = rules.mode != LoadMode::OnDemand;
        let slots = models.into_iter().enumerate().map(|(at, traits)| Slot::new(at, traits, preload)).collect();
        Self { rules, slots, attempts: 0, stopping: false }
    }

    /// Applies one event. Time never runs backwards from one call to the next.
    pub fn step(&mut self, now: Instant, event: Event<R, F>) -> Vec<Effect<R, F>> {
        self.stopping |= matches!(event, Event::Stop);
        let mut context =
            Context { now, rules: &self.rules, attempts: &mut self.attempts, stopping: self.stopping, out: Vec::new() };
        apply(&mut self.slots, &mut context, event);
        settle(&mut self.slots, &mut context);
        context.out
    }

    /// When [`Event::Tick`] is due, if nothing happens before.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let slots = self.slots.iter().filter_map(|slot| slot.deadline(self.stopping));
        let room = head(&self.slots).and_then(|head| match verdict(now, &self.rules, &self.slots, head) {
            Verdict::Wait { until } => until,
            _ => None,
        });
        slots.chain(room).min()
    }

    /// The state of each model, in the order that the machine was made with.
    pub fn views(&self) -> impl Iterator<Item = View<'_, R, F>> {
        self.slots.iter().map(Slot::view)
    }

    pub fn preload_complete(&self) -> bool {
        self.slots.iter().all(Slot::preloaded)
    }

    pub fn preload_failed(&self) -> Option<String> {
        self.slots.iter().find_map(Slot::preload_failed)
    }

    pub fn stopping(&self) -> bool {
        self.stopping
    }

    /// Nothing is in memory, nothing is under way and nobody waits.
    pub fn at_rest(&self) -> bool {
        self.slots.iter().all(Slot::at_rest)
    }
}

/// What the event means to the slot that it is about.
fn apply<R: Resource, F: Clone>(slots: &mut [Slot<R, F>], context: &mut Context<'_, R, F>, event: Event<R, F>) {
    match event {
        Event::Start => slots.iter_mut().for_each(|slot| slot.preload(context)),
        Event::Ask { slot, waiter, explicit } => slots[slot].ask(context, waiter, explicit),
        Event::Left { waiter } => slots.iter_mut().for_each(|slot| slot.forget(waiter)),
        Event::Progress { slot, attempt, progress } => slots[slot].progress(attempt, progress),
        Event::Fetched { slot, attempt, result, jitter } => slots[slot].fetched(context, attempt, result, jitter),
        Event::Loaded { slot, attempt, result, jitter } => slots[slot].loaded(context, attempt, result, jitter),
        Event::Ended { slot, attempt, end, jitter } => slots[slot].ended(context, attempt, end, jitter),
        Event::Released | Event::Tick => {}
        Event::Stop => slots.iter_mut().for_each(|slot| slot.stop(context)),
    }
}

/// Restores the invariants.
fn settle<R: Resource, F: Clone>(slots: &mut [Slot<R, F>], context: &mut Context<'_, R, F>) {
    for slot in slots.iter_mut() {
        slot.observe(context);
    }
    make_rooms(slots, context);
    for slot in slots.iter_mut() {
        slot.lose_patience(context);
    }
}

/// Gives room to those who wait for it, the one that has waited longest first. A younger one does not overtake: it could
/// keep the older one waiting for ever.
fn make_rooms<R: Resource, F: Clone>(slots: &mut [Slot<R, F>], context: &mut Context<'_, R, F>) {
    while let Some(head) = head(slots) {
        match verdict(context.now, context.rules, slots, head) {
            Verdict::Fits => slots[head].load(context),
            Verdict::Evict(victims) | Verdict::Drain(victims) => {
                context.note(Note::Switching { from: victims.clone(), to: head });
                victims.into_iter().for_each(|victim| slots[victim].evict(context, Reason::Room));
            }
            Verdict::Wait { .. } => break,
            Verdict::Blocked => {
                let reason = blockers(slots, head);
                slots[head].no_room(context, reason);
            }
            Verdict::WontFit { need, budget } => slots[head].wont_fit(context, need, budget),
        }
    }
}

/// Who has waited for room longest.
fn head<R: Resource, F: Clone>(slots: &[Slot<R, F>]) -> Option<usize> {
    let waiting = slots.iter().enumerate().filter_map(|(at, slot)| Some((slot.want()?.since, at)));
    waiting.min().map(|(_, at)| at)
}

fn verdict<R: Resource, F: Clone>(now: Instant, rules: &Rules, slots: &[Slot<R, F>], head: usize) -> Verdict {
    let residents: Vec<_> = slots.iter().filter_map(Slot::resident).collect();
    match slots[head].want() {
        Some(want) => make_room(now, &rules.limits, &residents, &want),
        None => Verdict::Wait { until: None },
    }
}

/// Who holds the memory, for people.
fn blockers<R: Resource, F: Clone>(slots: &[Slot<R, F>], head: usize) -> String {
    let preload = slots[head].want().is_some_and(|want| !want.may_evict);
    let stays = |slot: &&Slot<R, F>| slot.resident().is_some_and(|resident| preload || resident.pinned);
    let names: Vec<_> = slots.iter().filter(stays).map(|slot| slot.name().as_str()).collect();
    format!("it does not fit beside {}", names.join(", "))
}

// === impl Context ===

impl<R, F> Context<'_, R, F> {
    fn attempt(&mut self) -> Attempt {
        *self.attempts += 1;
        *self.attempts
    }

    fn note(&mut self, note: Note) {
        self.out.push(Effect::Note(note));
    }

    fn answer(&mut self, waiter: &Waiter, answer: Answer<R>) {
        self.out.push(Effect::Answer { waiter: waiter.id, answer });
    }

    fn refuse(&mut self, waiter: &Waiter, refusal: Unavailable) {
        self.answer(waiter, Answer::Refused(refusal));
    }

    /// Exponential back-off, of which the upper half is random, and never sooner than the other side allows.
    fn back_off(&self, failure: &Failure, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.rules.retry_base.saturating_mul(1 << doublings).min(self.rules.retry_max);
        full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0).max(failure.retry_after.unwrap_or_default())
    }
}

// === impl Goal ===

impl Goal {
    fn desire(self) -> Desire {
        match self {
            Self::Lease | Self::Ready => Desire::Serve,
            Self::Fetched | Self::Unloaded => Desire::Files,
        }
    }
}

// === impl Reason ===

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Room => "room",
            Self::Asked => "asked",
            Self::Stopping => "stopping",
        }
    }
}
