//! Random orders of events. The world checks the promises at every step; at the end, when everything that can happen has
//! happened, nobody may be left waiting.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{super::*, world::*};

const SEEDS: u64 = 600;
const EVENTS: usize = 250;

#[test]
fn every_order_of_events_keeps_the_promises() {
    let (mut leases, mut refusals, mut switches, mut deaths) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let random = &mut StdRng::seed_from_u64(seed);
        let mut world = any_world(random);
        world.step(Event::Start);
        let stops = random.random_bool(0.2);
        for event in 0..EVENTS {
            if stops && event == EVENTS / 2 {
                world.step(Event::Stop);
            }
            deaths += usize::from(something_happens(&mut world, random));
        }
        exhaust(&mut world, seed);
        leases += world.told.values().filter(|told| matches!(told, Told::Leased)).count();
        refusals += world.told.values().filter(|told| matches!(told, Told::Refused(_))).count();
        switches += world.notes.iter().filter(|note| matches!(note, Note::Switching { .. })).count();
    }
    // The orders reach what they are to check.
    let reached = [leases, refusals, switches, deaths];
    assert!(reached.iter().all(|times| *times > SEEDS as usize), "{reached:?}");
}

fn any_world(random: &mut StdRng) -> World {
    let models = random.random_range(1..=4);
    let names = ["a", "b", "c", "d"];
    let traits = (0..models).map(|at| Traits {
        preload: random.random_bool(0.3),
        pinned: random.random_bool(0.1),
        idle_ttl: random.random_bool(0.3).then(|| seconds(random.random_range(1..30))),
        ..model(names[at])
    });
    let traits = traits.collect();
    let footprints = (0..models).map(|_| random.random_range(1..10)).collect();
    let modes = [LoadMode::Startup, LoadMode::OnDemand, LoadMode::Background];
    let policies = [OnPreloadFailure::Retry, OnPreloadFailure::Exit, OnPreloadFailure::Lazy];
    let limits = Limits {
        max_resident: random.random_bool(0.5).then(|| random.random_range(1..4)),
        budget: random.random_bool(0.5).then(|| random.random_range(6..20)),
        patience: seconds(random.random_range(0..20)),
    };
    let mode = modes[random.random_range(0..3)];
    let on_preload_failure = policies[random.random_range(0..3)];
    World::new(Rules { mode, limits, on_preload_failure, ..rules() }, traits, footprints)
}

/// Whether a model died.
fn something_happens(world: &mut World, random: &mut StdRng) -> bool {
    match random.random_range(0..20) {
        0..=5 => somebody_asks(world, random),
        6 => {
            let waiters: Vec<_> = world.open.keys().copied().collect();
            waiters.choose(random).into_iter().for_each(|waiter| world.leave(*waiter));
        }
        7..=8 => {
            let fetching = any(world.fetches.iter().map(|(slot, _)| *slot), random);
            fetching.into_iter().for_each(|slot| world.fetched(slot, any_failure(random)));
        }
        9..=10 => {
            let loading = any(world.loads.iter().map(|(slot, _)| *slot), random);
            loading.into_iter().for_each(|slot| world.loaded(slot, any_failure(random)));
        }
        11..=13 => {
            let leased = any(world.leases.iter().map(|lease| lease.0), random);
            leased.into_iter().for_each(|slot| world.release(slot));
        }
        14..=15 => {
            let ending = any(world.endings.iter().map(|(slot, _)| *slot), random);
            ending.into_iter().for_each(|slot| world.ended(slot));
        }
        16 if random.random_bool(0.3) => {
            let dies = any(world.alive.keys().copied(), random);
            dies.into_iter().for_each(|slot| world.died(slot));
            return dies.is_some();
        }
        17 => stale_news(world, random),
        18 => match world.machine.next_deadline(world.now) {
            Some(deadline) => world.pass(deadline - world.now),
            None => world.pass(seconds(1)),
        },
        _ => world.pass(Duration::from_millis(random.random_range(0..5000))),
    }
    false
}

fn somebody_asks(world: &mut World, random: &mut StdRng) {
    let slot = random.random_range(0..world.machine.views().count());
    let goal = match random.random_range(0..10) {
        0 => Goal::Ready,
        1 => Goal::Fetched,
        2 => Goal::Unloaded,
        _ => Goal::Lease,
    };
    let patience = random.random_bool(0.5).then(|| seconds(random.random_range(0..30)));
    let explicit = goal != Goal::Lease && random.random_bool(0.5);
    world.ask_for(slot, goal, patience, explicit);
}

fn any_failure(random: &mut StdRng) -> Option<Failure> {
    match random.random_range(0..50) {
        0 => Some(permanent()),
        1..=5 => Some(transient()),
        _ => None,
    }
}

/// News of attempts that never were change nothing.
fn stale_news(world: &mut World, random: &mut StdRng) {
    let slot = random.random_range(0..world.machine.views().count());
    let attempt = u64::MAX;
    let before: Vec<_> = world.machine.views().map(|view| view.status).collect();
    let (jitter, failure) = (0.5, transient());
    match random.random_range(0..4) {
        0 => world.step(Event::Fetched { slot, attempt, result: Err(failure), jitter }),
        1 => world.step(Event::Loaded { slot, attempt, result: Err(failure), jitter }),
        2 => world.step(Event::Ended { slot, attempt, end: Ended::default(), jitter }),
        _ => world.step(Event::Progress { slot, attempt, progress: Progress::default() }),
    }
    assert!(world.machine.views().map(|view| view.status).eq(before), "stale news");
}

fn any(among: impl Iterator<Item = usize>, random: &mut StdRng) -> Option<usize> {
    among.collect::<Vec<_>>().choose(random).copied()
}

/// Everything under way comes to a good end, every lease is given back, time passes.
fn exhaust(world: &mut World, seed: u64) {
    for _ in 0..10_000 {
        if let Some((slot, _)) = world.fetches.first().copied() {
            world.fetched(slot, None);
        } else if let Some((slot, _)) = world.loads.first().copied() {
            world.loaded(slot, None);
        } else if let Some((slot, _)) = world.endings.first().copied() {
            world.ended(slot);
        } else if let Some(slot) = world.leases.first().map(|lease| lease.0) {
            world.release(slot);
        } else if world.open.is_empty() {
            return check_rest(world, seed);
        } else if let Some(deadline) = world.machine.next_deadline(world.now) {
            world.pass(deadline - world.now);
        } else {
            panic!("seed {seed}: {:?} wait, and nothing will ever happen", world.open);
        }
    }
    panic!("seed {seed}: it never comes to rest");
}

fn check_rest(world: &World, seed: u64) {
    let stuck = world.machine.views().any(|view| view.waiting > 0);
    assert!(!stuck, "seed {seed}: somebody is waiting of whom nobody knows");
    if world.machine.stopping() {
        assert!(world.machine.at_rest() && world.taken.is_empty(), "seed {seed}: something stays in memory");
    }
}
