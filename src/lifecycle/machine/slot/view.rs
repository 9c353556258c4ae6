//! What may be known and asked of a model, and what its callers are told.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::{Desire, Goal, Phase, Preload, Progress, Resource, Slot, Stock, Traits, Unavailable, Usage, Waiter};
use crate::{
    lifecycle::{
        Status,
        residency::{Hold, Resident, Want},
    },
    speech::ModelName,
};

/// Until a load was measured: seconds per byte, as of a slow disk.
const RELOAD_GUESS: f64 = 1.0 / 500_000_000.0;
/// Clients obey `Retry-After` up to two minutes (the official OpenAI client does).
const LATEST_RETURN: Duration = Duration::from_secs(120);
const SOONEST_RETURN: Duration = Duration::from_secs(1);
/// A client comes back after so long when nothing better is known.
const USUAL_RETURN: Duration = Duration::from_secs(5);

/// What may be known of a slot.
pub(in crate::lifecycle) struct View<'a, R, F> {
    pub traits: &'a Traits,
    pub status: Status,
    pub since: Option<Instant>,
    pub progress: Option<Progress>,
    pub stock: Option<&'a Stock<F>>,
    pub resource: Option<&'a R>,
    pub idle_since: Option<Instant>,
    pub waiting: usize,
    pub error: Option<ViewError>,
}

/// The last failure of a slot.
pub(in crate::lifecycle) struct ViewError {
    pub message: String,
    pub permanent: bool,
    pub attempts: u32,
    pub retry_at: Option<Instant>,
}

// === impl Slot ===

impl<R: Resource, F: Clone> Slot<R, F> {
    pub fn name(&self) -> &ModelName {
        &self.traits.name
    }

    /// What it waits for, if it waits for room.
    pub fn want(&self) -> Option<Want> {
        match &self.phase {
            Phase::Fetched { since, stock, desire, .. } => {
                Some(Want { footprint: stock.footprint, since: *since, may_evict: *desire == Desire::Serve })
            }
            _ => None,
        }
    }

    /// What it takes, if it takes memory.
    pub fn resident(&self) -> Option<Resident> {
        let (stock, hold) = match &self.phase {
            Phase::Loading { stock, .. } => (stock, Hold::Arriving),
            Phase::Ready { stock, usage: Usage::Leased, .. } => (stock, Hold::Leased),
            Phase::Ready { stock, usage: Usage::Idle { since }, .. } => (stock, Hold::Idle { since: *since }),
            Phase::Draining { stock, .. } | Phase::Unloading { stock, .. } => (stock, Hold::Leaving),
            Phase::Absent { .. } | Phase::Downloading { .. } | Phase::Fetched { .. } | Phase::Failed { .. } => {
                return None;
            }
        };
        let guess = || Duration::from_secs_f64(1.0 + stock.footprint as f64 * RELOAD_GUESS);
        let reload = self.reload.unwrap_or_else(guess);
        Some(Resident { id: self.at, footprint: stock.footprint, pinned: self.traits.pinned, hold, reload })
    }

    pub fn preloaded(&self) -> bool {
        !matches!(self.preload, Preload::Pending { .. })
    }

    pub fn preload_failed(&self) -> Option<String> {
        let Preload::Pending { failed } = &self.preload else { return None };
        let reason = match &self.phase {
            Phase::Failed { failure, .. } => Some(failure.reason()),
            _ => failed.clone(),
        };
        reason.map(|reason| format!("{}: {reason}", self.traits.name))
    }

    pub fn at_rest(&self) -> bool {
        matches!(self.phase, Phase::Absent { .. } | Phase::Failed { .. })
    }

    pub fn view(&self) -> View<'_, R, F> {
        View {
            traits: &self.traits,
            status: self.phase.status(),
            since: self.phase.since(),
            progress: match &self.phase {
                Phase::Downloading { progress, .. } => Some(*progress),
                _ => None,
            },
            stock: self.phase.stock(),
            resource: match &self.phase {
                Phase::Ready { resource, .. } | Phase::Draining { resource, .. } => Some(resource),
                _ => None,
            },
            idle_since: match &self.phase {
                Phase::Ready { usage: Usage::Idle { since }, .. } => Some(*since),
                _ => None,
            },
            waiting: self.phase.waiters().iter().filter(|waiter| waiter.goal == Goal::Lease).count(),
            error: self.view_error(),
        }
    }

    pub(super) fn view_error(&self) -> Option<ViewError> {
        let Phase::Failed { failure, retry_at, .. } = &self.phase else { return None };
        let (message, permanent) = (failure.reason(), retry_at.is_none());
        Some(ViewError { message, permanent, attempts: self.failures, retry_at: *retry_at })
    }

    /// What a caller is told whose patience is over.
    pub(super) fn not_yet(&self, now: Instant) -> Unavailable {
        let (doing, retry_after) = match &self.phase {
            Phase::Fetched { .. } => return self.without_room("other models are in use".to_owned()),
            Phase::Downloading { progress, .. } => (progress.sentence(), progress.eta_seconds.map(seconds)),
            Phase::Loading { since, .. } => ("being loaded".to_owned(), self.remaining(now, *since)),
            Phase::Draining { .. } => ("still in use and about to be unloaded".to_owned(), None),
            Phase::Unloading { .. } => ("being unloaded".to_owned(), None),
            Phase::Absent { .. } | Phase::Ready { .. } | Phase::Failed { .. } => ("on its way".to_owned(), None),
        };
        let retry_after = retry_after.unwrap_or(USUAL_RETURN).clamp(SOONEST_RETURN, LATEST_RETURN);
        Unavailable::NotYet { model: self.traits.name.clone(), doing, retry_after }
    }

    pub(super) fn without_room(&self, reason: String) -> Unavailable {
        Unavailable::NoRoom { model: self.traits.name.clone(), reason, retry_after: USUAL_RETURN }
    }

    /// Of a load that takes as long as the last one.
    pub(super) fn remaining(&self, now: Instant, since: Instant) -> Option<Duration> {
        self.reload.map(|reload| reload.saturating_sub(now.saturating_duration_since(since)))
    }

    pub(super) fn take_waiters(&mut self) -> Vec<Waiter> {
        self.phase.waiters_mut().map(mem::take).unwrap_or_default()
    }
}

/// Of an estimate, which may be anything.
fn seconds(estimate: f64) -> Duration {
    Duration::try_from_secs_f64(estimate).unwrap_or(LATEST_RETURN)
}
