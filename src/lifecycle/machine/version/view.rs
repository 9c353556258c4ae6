//! What may be known and asked of a version of a model, and what its callers are told.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Attempt, KeepAlive, ModelSpec, ModelVersion, Phase, Preload, Progress, QueueEstimate, Resource, Rules, Stock,
    TargetState, Unavailable, Usage, VersionId, ViewError, WaitCondition, Waiter,
};
use crate::{
    lifecycle::{
        Status,
        residency::{Holder, Resident, RoomRequest},
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

// === impl ModelVersion: what it is and does ===

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    pub fn id(&self) -> VersionId {
        self.id
    }

    pub fn name(&self) -> &ModelName {
        &self.spec.name
    }

    pub fn spec(&self) -> &Arc<ModelSpec> {
        &self.spec
    }

    /// Bytes that came back when it was last unloaded.
    pub fn freed(&self) -> Option<u64> {
        self.freed
    }

    pub fn attempt(&self) -> Option<Attempt> {
        self.phase.attempt()
    }

    pub fn status(&self) -> Status {
        self.phase.status()
    }

    pub fn since(&self) -> Option<Instant> {
        self.phase.since()
    }

    pub fn stock(&self) -> Option<&Stock<F>> {
        self.phase.stock()
    }

    pub fn waiters(&self) -> &[Waiter] {
        self.phase.waiters()
    }

    /// The model in memory, as long as it can be used.
    pub fn resource(&self) -> Option<&R> {
        match &self.phase {
            Phase::Ready { resource, .. } | Phase::Draining { resource, .. } => Some(resource),
            _ => None,
        }
    }

    pub fn at_rest(&self) -> bool {
        matches!(self.phase, Phase::Absent { .. } | Phase::Failed { .. })
    }

    /// It serves nobody and does not come by itself.
    pub fn gone(&self) -> bool {
        self.at_rest() || matches!(self.phase, Phase::Draining { .. } | Phase::Unloading { .. })
    }

    pub fn there_or_coming(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. } | Phase::Loading { .. })
    }

    /// Its files are here, and it is to be in memory.
    pub fn needs_memory(&self) -> bool {
        matches!(self.phase, Phase::Fetched { .. } | Phase::Loading { .. })
    }

    pub fn loading_progress(&self) -> Option<Progress> {
        match &self.phase {
            Phase::Downloading { progress, .. } => Some(*progress),
            _ => None,
        }
    }

    pub fn idle_since(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Ready { usage: Usage::Idle { since }, .. } => Some(*since),
            _ => None,
        }
    }

    /// When it goes, if nobody asks for it: as the last request wants it, else as the configuration does.
    pub fn idle_deadline(&self, rules: &Rules) -> Option<Instant> {
        let since = self.idle_since().filter(|_| !self.spec.pinned)?;
        let ttl = match self.keep_alive {
            Some(KeepAlive::Forever) => None,
            Some(KeepAlive::For(time)) => Some(time),
            None => self.spec.idle_ttl.or(rules.idle_ttl),
        };
        since.checked_add(ttl?)
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
        reason.map(|reason| format!("{}: {reason}", self.spec.name))
    }

    pub fn view_error(&self) -> Option<ViewError> {
        let Phase::Failed { failure, retry_at, .. } = &self.phase else { return None };
        let (message, permanent, obstacle) = (failure.reason(), retry_at.is_none(), failure.obstacle());
        Some(ViewError { message, permanent, attempts: self.failures, retry_at: *retry_at, obstacle })
    }

    pub fn take_waiters(&mut self) -> Vec<Waiter> {
        self.phase.waiters_mut().map(mem::take).unwrap_or_default()
    }

    /// Those who want the model, whichever version; who wants this one gone goes on waiting for that.
    pub fn take_callers(&mut self) -> Vec<Waiter> {
        let Some(waiters) = self.phase.waiters_mut() else { return Vec::new() };
        let (stay, callers) =
            mem::take(waiters).into_iter().partition(|waiter| waiter.condition == WaitCondition::Unloaded);
        *waiters = stay;
        callers
    }
}

// === impl ModelVersion: memory ===

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    /// What it waits for, if it waits for room.
    pub fn room_request(&self) -> Option<RoomRequest> {
        match &self.phase {
            Phase::Fetched { since, stock, target, .. } => Some(RoomRequest {
                device: stock.device.clone(),
                footprint: stock.bytes(),
                since: *since,
                may_evict: *target == TargetState::Serve,
                instead_of: None,
            }),
            _ => None,
        }
    }

    /// What it takes, if it takes memory.
    pub fn resident(&self) -> Option<Resident> {
        let (stock, since, holder) = match &self.phase {
            Phase::Loading { stock, since, .. } => (stock, since, Holder::Arriving),
            Phase::Ready { stock, since, usage: Usage::Leased, .. } => (stock, since, Holder::Leased),
            Phase::Ready { stock, since, usage: Usage::Idle { since: idle }, .. } => {
                (stock, since, Holder::Idle { since: *idle })
            }
            Phase::Draining { stock, since, .. } | Phase::Unloading { stock, since, .. } => {
                (stock, since, Holder::Leaving)
            }
            Phase::Absent { .. } | Phase::Downloading { .. } | Phase::Fetched { .. } | Phase::Failed { .. } => {
                return None;
            }
        };
        // What it was seen to take counts while it is there, if it is more than was expected.
        let measured = self.resource().and_then(Resource::measured).unwrap_or_default();
        Some(Resident {
            id: self.id,
            device: stock.device.clone(),
            footprint: stock.bytes().max(measured),
            pinned: self.spec.pinned,
            since: *since,
            holder,
            gap: self.pace.gap,
            returns: self.pace.returns,
            reload: self.load_estimate(),
        })
    }

    /// How long a load takes: as long as the last one.
    pub fn load_estimate(&self) -> Duration {
        let bytes = self.stock().map_or(0, Stock::bytes);
        self.reload.unwrap_or_else(|| Duration::from_secs_f64(1.0 + bytes as f64 * RELOAD_GUESS))
    }

    /// How long until it is there, as far as that can be told without knowing who else waits for room.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        match &self.phase {
            Phase::Downloading { progress, .. } => progress.eta_seconds.map(|eta| seconds(eta) + self.load_estimate()),
            Phase::Loading { since, .. } => {
                self.reload.map(|reload| reload.saturating_sub(now.saturating_duration_since(*since)))
            }
            _ => None,
        }
    }
}

// === impl ModelVersion: what callers are told ===

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    /// What a caller is told whose timeout is over.
    pub(super) fn not_yet(&self, now: Instant, estimate: Option<&QueueEstimate>) -> Unavailable {
        let doing = match &self.phase {
            Phase::Fetched { .. } => return self.without_room("other models are in use".to_owned(), estimate),
            Phase::Downloading { progress, .. } => progress.sentence(),
            Phase::Loading { .. } => "being loaded".to_owned(),
            Phase::Draining { .. } => "still in use and about to be unloaded".to_owned(),
            Phase::Unloading { .. } => "being unloaded".to_owned(),
            Phase::Absent { .. } | Phase::Ready { .. } | Phase::Failed { .. } => "on its way".to_owned(),
        };
        let remaining = self.remaining(now);
        let doing =
            remaining.map_or(doing.clone(), |remaining| format!("{doing} and expected in {}", about(remaining)));
        Unavailable::NotYet { model: self.spec.name.clone(), doing, retry_after: return_in(remaining), eta: remaining }
    }

    pub(super) fn without_room(&self, reason: String, estimate: Option<&QueueEstimate>) -> Unavailable {
        let reason = match estimate {
            Some(QueueEstimate { place: 1, wait }) => format!("{reason}; it is next, expected in {}", about(*wait)),
            Some(QueueEstimate { place, wait }) => {
                format!("{reason}; it is number {place} of those who wait, expected in {}", about(*wait))
            }
            None => reason,
        };
        let eta = estimate.map(|estimate| estimate.wait);
        Unavailable::NoRoom { model: self.spec.name.clone(), reason, retry_after: return_in(eta), eta }
    }
}

/// `about 12 s`.
fn about(time: Duration) -> String {
    format!("about {} s", time.as_secs_f64().round().max(1.0))
}

/// When to come back for what is expected in so long.
fn return_in(expected: Option<Duration>) -> Duration {
    expected.unwrap_or(USUAL_RETURN).clamp(SOONEST_RETURN, LATEST_RETURN)
}

/// Of an estimate, which may be anything.
fn seconds(estimate: f64) -> Duration {
    Duration::try_from_secs_f64(estimate).unwrap_or(LATEST_RETURN)
}
