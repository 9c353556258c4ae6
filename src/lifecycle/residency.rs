//! Who goes, to make room: a pure policy.
//!
//! Idle models go first, the one whose idleness outweighs the cost of bringing it back soonest; pinned ones stay. A model
//! between two requests that follow each other closely is not idle, nor is one whose callers were told to come back:
//! callers who do not wait would otherwise never find it. Models in use are asked to go only after somebody has
//! waited for their room for [`Limits::room_patience`], and never before they had a turn of that length themselves: then they
//! take no new leases. Memory counts as taken from the start of a load until the unloading is reported done.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A client that has its answer needs a moment to send its next request.
const MOMENT: Duration = Duration::from_millis(50);
/// The next request is waited for this many times as long as the last one took to follow: pauses vary.
const MARGIN: u32 = 4;

/// Who was told when to come back comes so much later at most.
const LATENESS: Duration = Duration::from_secs(1);

/// Longer than any server runs.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Bytes of memory that models may take together, on each device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// On every device that `of` does not name. `None`: no bound.
    pub each: Option<u64>,
    /// By the name of the device: `cpu`, `cuda:0`, `metal`.
    pub of: BTreeMap<String, u64>,
}

/// What all models together may take.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub max_resident: Option<usize>,
    pub budget: Budget,
    /// Bytes of host memory in which models may stay that left an accelerator.
    pub warm: u64,
    /// How long a model in use is left in peace while somebody waits for its room.
    pub room_patience: Duration,
}

/// A model that takes memory. `id` is whatever the caller knows it by.
#[derive(Clone, Debug)]
pub(super) struct Resident {
    pub id: u64,
    pub device: Arc<str>,
    /// Bytes.
    pub footprint: u64,
    pub pinned: bool,
    /// Since when it can be used.
    pub since: Instant,
    pub holder: Holder,
    /// How soon its last request followed the one before.
    pub gap: Option<Duration>,
    /// When the last of those comes back who were told to.
    pub returns: Option<Instant>,
    /// What it takes to bring it back.
    pub reload: Duration,
}

/// What keeps a model in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// It is being loaded.
    Arriving,
    Leased,
    Idle {
        since: Instant,
    },
    /// It is on its way out.
    Leaving,
}

/// Somebody wants a model in.
#[derive(Clone, Debug)]
pub(super) struct RoomRequest {
    pub device: Arc<str>,
    /// Bytes.
    pub footprint: u64,
    pub since: Instant,
    /// Whether others may have to go for it.
    pub may_evict: bool,
    /// The resident whose place it is to take. It goes if both do not fit.
    pub instead_of: Option<u64>,
}

/// What is to be done about a want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is room now.
    Fits,
    /// There will be room when these idle ones are gone.
    Evict(Vec<u64>),
    /// There will be room when these are gone, of which some are in use: they are to take no new leases.
    Drain(Vec<u64>),
    /// There will be room when those who leave are gone, or there is something to decide at the given time.
    Wait { until: Option<Instant> },
    /// Those who stay leave too little.
    Blocked,
    /// It needs more than everything.
    WontFit { need: u64, budget: u64 },
}

/// Decides how `want` gets its room among `residents`.
pub(super) fn make_room(now: Instant, limits: &Limits, residents: &[Resident], want: &RoomRequest) -> Verdict {
    if let Some(budget) = limits.budget.on(&want.device).filter(|budget| want.footprint > *budget) {
        return Verdict::WontFit { need: want.footprint, budget };
    }
    if limits.admit(residents, want) {
        return Verdict::Fits;
    }
    let (former, others): (Vec<_>, Vec<_>) =
        residents.iter().partition(|resident| want.instead_of == Some(resident.id));
    if limits.admit(others.iter().copied(), want) {
        return take_place(&former);
    }
    let staying: Vec<_> = others.into_iter().filter(|resident| resident.holder != Holder::Leaving).collect();
    if limits.admit(staying.iter().copied(), want) {
        return Verdict::Wait { until: None };
    }
    if !want.may_evict {
        return Verdict::Blocked;
    }
    choose(now, limits, &staying, want)
}

/// The one whose place is taken goes: nobody but its own callers waits for that, and they get its successor.
fn take_place(former: &[&Resident]) -> Verdict {
    let ready = |resident: &&&Resident| matches!(resident.holder, Holder::Leased | Holder::Idle { .. });
    match former.iter().find(ready) {
        Some(former) => Verdict::Drain(vec![former.id]),
        None => Verdict::Wait { until: None },
    }
}

fn choose(now: Instant, limits: &Limits, staying: &[&Resident], want: &RoomRequest) -> Verdict {
    let movable: Vec<_> = staying.iter().copied().filter(|resident| !resident.pinned).collect();
    let (idle, busy): (Vec<_>, Vec<_>) = movable
        .iter()
        .copied()
        .partition(|resident| resident.idle_since().is_some() && resident.pause(now, limits).is_none());
    let idle = by_worth(now, idle);
    if let Some(victims) = enough(limits, staying, &idle, want) {
        return Verdict::Evict(victims);
    }
    let in_use = busy.iter().copied().filter(|resident| resident.holder != Holder::Arriving);
    let settled: Vec<_> = idle.iter().copied().chain(in_use).collect();
    if let Some(victims) = enough(limits, staying, &settled, want) {
        let victims_of = |resident: &&&Resident| victims.contains(&resident.id);
        let until = settled.iter().filter(victims_of).map(|victim| victim.turn_ends(limits, want)).max();
        let pause = busy.iter().filter_map(|resident| resident.pause(now, limits)).min();
        return match until.filter(|until| now < *until) {
            Some(until) => Verdict::Wait { until: Some(pause.map_or(until, |pause| pause.min(until))) },
            None => Verdict::Drain(victims),
        };
    }
    // Those that arrive are let in first; they can be asked to go afterwards.
    match enough(limits, staying, &movable, want) {
        Some(_) => Verdict::Wait { until: None },
        None => Verdict::Blocked,
    }
}

/// Who has to go because the limits are lower than they were: idle ones first, then those in use.
pub(super) fn excess(now: Instant, limits: &Limits, residents: &[Resident]) -> Vec<u64> {
    let mut staying: Vec<_> = residents.iter().filter(|resident| resident.holder != Holder::Leaving).collect();
    let ready = |resident: &&Resident| !resident.pinned && resident.holder != Holder::Arriving;
    let (idle, busy): (Vec<_>, Vec<_>) =
        staying.iter().copied().filter(ready).partition(|resident| resident.idle_since().is_some());
    let mut victims = Vec::new();
    for candidate in by_worth(now, idle).into_iter().chain(busy) {
        if limits.broken_on(&candidate.device, &staying) {
            staying.retain(|resident| resident.id != candidate.id);
            victims.push(candidate.id);
        }
    }
    victims
}

/// The first of the candidates that make enough room together, without those that turn out not to be needed.
fn enough(limits: &Limits, staying: &[&Resident], candidates: &[&Resident], want: &RoomRequest) -> Option<Vec<u64>> {
    let fits = |victims: &[u64]| {
        limits.admit(staying.iter().copied().filter(|resident| !victims.contains(&resident.id)), want)
    };
    let mut victims = Vec::new();
    for candidate in candidates {
        if fits(&victims) {
            break;
        }
        victims.push(candidate.id);
    }
    if !fits(&victims) {
        return None;
    }
    for id in victims.clone() {
        let fewer: Vec<_> = victims.iter().copied().filter(|other| *other != id).collect();
        if fits(&fewer) {
            victims = fewer;
        }
    }
    Some(victims)
}

/// The least worth keeping first: idle seconds per second of reloading.
fn by_worth(now: Instant, mut idle: Vec<&Resident>) -> Vec<&Resident> {
    idle.sort_by_key(|resident| {
        let since = resident.idle_since().unwrap_or(now);
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        let weight = seconds / resident.reload.as_secs_f64().max(0.001);
        (Reverse(ordered(weight)), since, resident.id)
    });
    idle
}

/// Non-negative floats sort like their bits.
fn ordered(weight: f64) -> u64 {
    weight.to_bits()
}

/// A time that is too far away to be told is never.
fn later(at: Instant, by: Duration) -> Instant {
    at.checked_add(by).unwrap_or(at + NEVER)
}

// === impl Budget ===

impl Budget {
    /// What may be taken on a device. `None`: no bound.
    pub fn on(&self, device: &str) -> Option<u64> {
        self.of.get(device).copied().or(self.each)
    }
}

// === impl Limits ===

impl Limits {
    fn admit<'a>(&self, residents: impl IntoIterator<Item = &'a Resident>, want: &RoomRequest) -> bool {
        let (mut models, mut bytes) = (1, want.footprint);
        for resident in residents {
            models += 1;
            if resident.device == want.device {
                bytes = bytes.saturating_add(resident.footprint);
            }
        }
        self.models_fit(models) && self.budget.on(&want.device).is_none_or(|budget| bytes <= budget)
    }

    /// Whether there are too many, or too much on that device.
    fn broken_on(&self, device: &str, residents: &[&Resident]) -> bool {
        let there = residents.iter().filter(|resident| *resident.device == *device);
        let bytes = there.fold(0_u64, |sum, resident| sum.saturating_add(resident.footprint));
        !self.models_fit(residents.len()) || self.budget.on(device).is_some_and(|budget| bytes > budget)
    }

    fn models_fit(&self, models: usize) -> bool {
        self.max_resident.is_none_or(|most| models <= most.max(1))
    }
}

// === impl Resident ===

impl Resident {
    fn idle_since(&self) -> Option<Instant> {
        match self.holder {
            Holder::Idle { since } => Some(since),
            Holder::Arriving | Holder::Leased | Holder::Leaving => None,
        }
    }

    /// Until when its next request may be expected.
    fn pause(&self, now: Instant, limits: &Limits) -> Option<Instant> {
        let since = self.idle_since()?;
        let returns = self.returns.map(|returns| later(returns, LATENESS));
        self.follows(since, limits).max(returns).filter(|until| now < *until)
    }

    /// If its requests follow each other so closely that keeping it for that long costs less than bringing it back.
    fn follows(&self, since: Instant, limits: &Limits) -> Option<Instant> {
        let (gap, most) = (self.gap?, self.reload.min(limits.room_patience));
        (gap < most).then(|| later(since, gap.saturating_mul(MARGIN).max(MOMENT).min(most)))
    }

    /// When it is to go for `want`, in use or not.
    fn turn_ends(&self, limits: &Limits, want: &RoomRequest) -> Instant {
        later(self.since.max(want.since), limits.room_patience)
    }
}

#[cfg(test)]
mod tests;
