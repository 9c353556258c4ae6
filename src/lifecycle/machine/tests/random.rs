//! Random orders of events. The world checks the promises at every step; at the end, when everything that can happen has
//! happened, nobody may be left waiting.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{super::*, world::*};
use crate::lifecycle::{Budget, Ended, Failure, KeepAlive, Progress};

const SEEDS: u64 = 300;
const EVENTS: usize = 250;
const REVISIONS: [&str; 4] = ["main", "v1", "v2", "heavy"];

#[test]
fn every_order_of_events_keeps_the_promises() {
    let mut reached: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..SEEDS {
        // A promise that is broken is told without its seed, which the last line names.
        println!("seed {seed}");
        let random = &mut StdRng::seed_from_u64(seed);
        let mut world = any_world(random);
        world.step(Event::Start);
        let stops = random.random_bool(0.2);
        for event in 0..EVENTS {
            if stops && event == EVENTS / 2 {
                world.step(Event::Drain);
            }
            if stops && event == 3 * EVENTS / 4 {
                world.step(Event::Stop);
            }
            something_happens(&mut world, random);
        }
        exhaust(&mut world, seed);
        count(&world, &mut reached);
    }
    // The orders reach what they are to check.
    assert!(reached.len() == 15 && reached.values().all(|times| *times >= 20), "{reached:?}");
}

fn count(world: &World, reached: &mut BTreeMap<&str, usize>) {
    let mut add = |what, times| *reached.entry(what).or_default() += times;
    add("leases", world.told.values().filter(|told| matches!(told, Told::Leased)).count());
    add("refusals", world.told.values().filter(|told| matches!(told, Told::Refused(_))).count());
    add("deaths", world.counted("death"));
    add("held", world.counted("warm"));
    add("loads of what is held", world.counted("warm load"));
    add("configurations", world.counted("configuration"));
    add("switches", world.noted(|note| matches!(note, Note::Switching { .. })));
    add("failures", world.noted(|note| matches!(note, Note::Failed { .. })));
    add("roll-backs", world.noted(|note| matches!(note, Note::BringingBack { .. })));
    add("updates", world.noted(|note| matches!(note, Note::Updated { .. })));
    add("failed updates", world.noted(|note| matches!(note, Note::UpdateFailed { .. })));
    add("removals", world.noted(|note| matches!(note, Note::Removed { .. })));
    for (what, reason) in [("idle", Reason::Idle), ("limits", Reason::Limits), ("swaps", Reason::Updated)] {
        add(what, world.noted(|note| matches!(note, Note::Evicting { reason: other, .. } if *other == reason)));
    }
}

fn any_world(random: &mut StdRng) -> World {
    let models = random.random_range(1..=4);
    let names = ["a", "b", "c", "d"];
    let specs = (0..models).map(|at| any_spec(model(names[at]), random)).collect();
    let footprints = (0..models).map(|_| random.random_range(1..10)).collect();
    let modes = [LoadMode::Startup, LoadMode::OnDemand, LoadMode::Background];
    let rules = Rules { mode: modes[random.random_range(0..3)], ..any_rules(random) };
    let mut world = World::new(rules, specs, footprints);
    for device in &mut world.devices {
        *device = if random.random_bool(0.3) { "cuda:0" } else { "cpu" };
    }
    world
}

fn any_spec(spec: ModelSpec, random: &mut StdRng) -> ModelSpec {
    ModelSpec {
        preload: random.random_bool(0.3),
        pinned: random.random_bool(0.1),
        idle_ttl: random.random_bool(0.3).then(|| seconds(random.random_range(1..30))),
        ..spec
    }
}

fn any_rules(random: &mut StdRng) -> Rules {
    let policies = [OnPreloadFailure::Retry, OnPreloadFailure::Exit, OnPreloadFailure::Lazy];
    let mut budget = Budget { each: random.random_bool(0.5).then(|| random.random_range(6..20)), ..Budget::default() };
    if random.random_bool(0.5) {
        budget.of.insert("cuda:0".to_owned(), random.random_range(6..20));
    }
    let max_resident = random.random_bool(0.5).then(|| random.random_range(1..4));
    let warm = random.random_range(0..20);
    let limits = Limits { max_resident, budget, warm, room_patience: seconds(random.random_range(0..20)) };
    let idle_ttl = random.random_bool(0.2).then(|| seconds(random.random_range(1..30)));
    Rules { limits, idle_ttl, on_preload_failure: policies[random.random_range(0..3)], ..rules() }
}

fn something_happens(world: &mut World, random: &mut StdRng) {
    match random.random_range(0..43) {
        0..=11 => somebody_asks(world, random),
        12..=13 => {
            let waiters: Vec<_> = world.open.keys().copied().collect();
            waiters.choose(random).into_iter().for_each(|waiter| world.leave(*waiter));
        }
        14..=17 => {
            let fetching = any(world.fetches.iter().map(|work| work.model), random);
            fetching.into_iter().for_each(|model| world.fetched(model, any_failure(random)));
        }
        18..=21 => {
            let loading = any(world.loads.iter().map(|work| work.model), random);
            loading
                .into_iter()
                .for_each(|model| world.loaded(model, any_failure(random).or_else(|| any_failure(random))));
        }
        22..=27 => {
            let leased = any(world.leases.iter().map(|lease| lease.model), random);
            leased.into_iter().for_each(|model| world.release(model));
        }
        28..=31 => {
            let ending = any(world.endings.iter().map(|work| work.model), random);
            ending.into_iter().for_each(|model| world.ended(model));
        }
        32 => somebody_dies(world, random),
        33 => stale_news(world, random),
        34..=35 => match world.machine.next_deadline(world.now) {
            Some(deadline) => world.pass(deadline - world.now),
            None => world.pass(seconds(1)),
        },
        36..=37 => somebody_updates(world, random),
        38 if random.random_bool(0.3) => somebody_configures(world, random),
        39 => world.warmed(),
        _ => world.pass(Duration::from_millis(random.random_range(0..5000))),
    }
}

fn somebody_asks(world: &mut World, random: &mut StdRng) {
    let condition = match random.random_range(0..10) {
        0 => WaitCondition::Ready,
        1 => WaitCondition::Fetched,
        2 => WaitCondition::Unloaded,
        _ => WaitCondition::Lease { keep_alive: any_keep_alive(random) },
    };
    let patience = random.random_bool(0.5).then(|| seconds(random.random_range(0..30)));
    let explicit = !matches!(condition, WaitCondition::Lease { .. }) && random.random_bool(0.5);
    // Some of them may not be served at the moment.
    world.ask_for(random.random_range(0..world.specs.len()), condition, patience, explicit);
}

fn any_keep_alive(random: &mut StdRng) -> Option<KeepAlive> {
    match random.random_range(0..10) {
        0 => Some(KeepAlive::Forever),
        1 => Some(KeepAlive::For(Duration::ZERO)),
        2 => Some(KeepAlive::For(seconds(random.random_range(1..30)))),
        _ => None,
    }
}

fn somebody_dies(world: &mut World, random: &mut StdRng) {
    if let Some(model) = any(world.alive.values().copied(), random)
        && random.random_bool(0.3)
    {
        *world.counts.entry("death").or_default() += 1;
        world.died(model);
    }
}

fn somebody_updates(world: &mut World, random: &mut StdRng) {
    let model = random.random_range(0..world.specs.len());
    if random.random_bool(0.5) {
        world.moves[model] += 1;
    }
    let waiter = world.update(model, REVISIONS[random.random_range(0..REVISIONS.len())]);
    if random.random_bool(0.2) && world.waits(waiter) {
        world.leave(waiter);
    }
}

/// Other limits, other models, and other terms for those that stay.
fn somebody_configures(world: &mut World, random: &mut StdRng) {
    *world.counts.entry("configuration").or_default() += 1;
    for at in 0..world.specs.len() {
        let revision = REVISIONS[random.random_range(0..REVISIONS.len())];
        let source =
            if random.random_bool(0.3) { world.specs[at].at(revision).unwrap() } else { world.specs[at].clone() };
        world.specs[at] = any_spec(source, random);
    }
    let rules = if random.random_bool(0.8) { any_rules(random) } else { world.rules.clone() };
    let served: Vec<_> = (0..world.specs.len()).filter(|_| random.random_bool(0.9)).collect();
    world.configure(rules, &served);
}

fn any_failure(random: &mut StdRng) -> Option<Failure> {
    match random.random_range(0..30) {
        0 => Some(permanent()),
        1..=4 => Some(transient()),
        _ => None,
    }
}

/// News of attempts that never were change nothing.
fn stale_news(world: &mut World, random: &mut StdRng) {
    let attempt = u64::MAX;
    let states = |world: &World| world.machine.views(world.now).map(|view| view.status).collect::<Vec<_>>();
    let before = states(world);
    let (jitter, failure) = (0.5, transient());
    match random.random_range(0..4) {
        0 => world.step(Event::Fetched { attempt, result: Err(failure), jitter }),
        1 => world.step(Event::Loaded { attempt, result: Err(failure), jitter }),
        2 => world.step(Event::Ended { attempt, end: Ended::default(), jitter }),
        _ => world.step(Event::Progress { attempt, progress: Progress::default() }),
    }
    assert_eq!(states(world), before, "stale news");
}

fn any(among: impl Iterator<Item = usize>, random: &mut StdRng) -> Option<usize> {
    among.collect::<Vec<_>>().choose(random).copied()
}

/// Everything under way comes to a good end, every lease is given back, time passes.
fn exhaust(world: &mut World, seed: u64) {
    for _ in 0..10_000 {
        if let Some(model) = world.fetches.first().map(|work| work.model) {
            world.fetched(model, None);
        } else if let Some(model) = world.loads.first().map(|work| work.model) {
            world.loaded(model, None);
        } else if let Some(model) = world.endings.first().map(|work| work.model) {
            world.ended(model);
        } else if let Some(model) = world.leases.first().map(|lease| lease.model) {
            world.release(model);
        } else if world.open.is_empty() && !in_line(world) {
            return check_rest(world, seed);
        } else if let Some(deadline) = world.machine.next_deadline(world.now) {
            world.pass(deadline - world.now);
        } else {
            let views: Vec<_> = world.machine.views(world.now).map(|view| (view.status, view.place)).collect();
            panic!("seed {seed}: {:?} wait in {views:?}, and nothing will ever happen", world.open);
        }
    }
    panic!("seed {seed}: it never comes to rest");
}

/// Whether a model waits for room, perhaps with nobody who waits for it any more.
fn in_line(world: &World) -> bool {
    world.machine.views(world.now).any(|view| view.place.is_some())
}

fn check_rest(world: &World, seed: u64) {
    let stuck = world.machine.views(world.now).any(|view| view.waiting > 0);
    assert!(!stuck, "seed {seed}: somebody is waiting of whom nobody knows");
    assert!(world.taken.len() == world.alive.len(), "seed {seed}: memory is taken by nothing");
    for view in world.machine.views(world.now) {
        let under_way = view.update.filter(|update| update.error.is_none());
        assert!(under_way.is_none(), "seed {seed}: an update of {:?} hangs", view.spec.name);
    }
    if world.machine.stopping() {
        assert!(world.machine.at_rest() && world.taken.is_empty(), "seed {seed}: something stays in memory");
    }
}
