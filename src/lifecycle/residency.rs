//! Who goes, to make room: a pure policy.
//!
//! Idle models go first, the one whose idleness outweighs the cost of bringing it back soonest; pinned ones stay. Models
//! in use are asked to go only after somebody has waited for room for [`Limits::patience`]: then they take no new leases.
//! Memory counts as taken from the start of a load until the unloading is reported done.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

/// What all models together may take.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub max_resident: Option<usize>,
    /// Bytes.
    pub budget: Option<u64>,
    /// How long a model in use is left in peace while somebody waits for its room.
    pub patience: Duration,
}

/// A model that takes memory. `id` is whatever the caller knows it by.
#[derive(Clone, Debug)]
pub(super) struct Resident {
    pub id: usize,
    /// Bytes.
    pub footprint: u64,
    pub pinned: bool,
    pub hold: Hold,
    /// What it takes to bring it back.
    pub reload: Duration,
}

/// What keeps a model in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Bytes.
    pub footprint: u64,
    pub since: Instant,
    /// Whether others may have to go for it.
    pub may_evict: bool,
}

/// What is to be done about a want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is room now.
    Fits,
    /// There will be room when these idle ones are gone.
    Evict(Vec<usize>),
    /// There will be room when these are gone, of which some are in use: they are to take no new leases.
    Drain(Vec<usize>),
    /// There will be room when those who leave are gone, or when patience ends at the given time.
    Wait { until: Option<Instant> },
    /// Those who stay leave too little.
    Blocked,
    /// It needs more than everything.
    WontFit { need: u64, budget: u64 },
}

/// How much is taken.
#[derive(Clone, Copy)]
struct Taken {
    models: usize,
    bytes: u64,
}

/// Decides how `want` gets its room among `residents`.
pub(super) fn make_room(now: Instant, limits: &Limits, residents: &[Resident], want: &Want) -> Verdict {
    if let Some(budget) = limits.budget.filter(|budget| want.footprint > *budget) {
        return Verdict::WontFit { need: want.footprint, budget };
    }
    if limits.admit(taken(residents), want) {
        return Verdict::Fits;
    }
    let staying: Vec<_> = residents.iter().filter(|resident| resident.hold != Hold::Leaving).collect();
    if limits.admit(taken(staying.iter().copied()), want) {
        return Verdict::Wait { until: None };
    }
    if !want.may_evict {
        return Verdict::Blocked;
    }
    choose(now, limits, &staying, want)
}

fn choose(now: Instant, limits: &Limits, staying: &[&Resident], want: &Want) -> Verdict {
    let movable = |resident: &&&Resident| !resident.pinned;
    let idle = by_worth(now, staying.iter().filter(movable).filter(|resident| resident.idle_since().is_some()));
    if let Some(victims) = enough(limits, staying, &idle, want) {
        return Verdict::Evict(victims);
    }
    let leased = staying.iter().filter(movable).filter(|resident| resident.hold == Hold::Leased);
    let in_use = idle.iter().copied().chain(leased.copied()).collect::<Vec<_>>();
    if let Some(victims) = enough(limits, staying, &in_use, want) {
        let until = want.since + limits.patience;
        return if now >= until { Verdict::Drain(victims) } else { Verdict::Wait { until: Some(until) } };
    }
    let all = staying.iter().filter(movable).copied().collect::<Vec<_>>();
    // Those that arrive are let in first; they can be asked to go afterwards.
    match enough(limits, staying, &all, want) {
        Some(_) => Verdict::Wait { until: None },
        None => Verdict::Blocked,
    }
}

/// The first of the candidates that make enough room together, without those that turn out not to be needed.
fn enough(limits: &Limits, staying: &[&Resident], candidates: &[&Resident], want: &Want) -> Option<Vec<usize>> {
    let fits = |victims: &[usize]| {
        limits.admit(taken(staying.iter().copied().filter(|resident| !victims.contains(&resident.id))), want)
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
fn by_worth<'a>(now: Instant, idle: impl Iterator<Item = &'a &'a Resident>) -> Vec<&'a Resident> {
    let mut idle: Vec<_> = idle.copied().collect();
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

fn taken<'a>(residents: impl IntoIterator<Item = &'a Resident>) -> Taken {
    residents.into_iter().fold(Taken { models: 0, bytes: 0 }, |sum, resident| Taken {
        models: sum.models + 1,
        bytes: sum.bytes.saturating_add(resident.footprint),
    })
}

// === impl Limits ===

impl Limits {
    fn admit(&self, taken: Taken, want: &Want) -> bool {
        let models = self.max_resident.is_none_or(|most| taken.models < most.max(1));
        let bytes = self.budget.is_none_or(|budget| taken.bytes.saturating_add(want.footprint) <= budget);
        models && bytes
    }
}

// === impl Resident ===

impl Resident {
    fn idle_since(&self) -> Option<Instant> {
        match self.hold {
            Hold::Idle { since } => Some(since),
            Hold::Arriving | Hold::Leased | Hold::Leaving => None,
        }
    }
}

#[cfg(test)]
mod tests;
