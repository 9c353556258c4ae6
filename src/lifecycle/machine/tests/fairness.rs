//! Crowds of clients over time: nobody waits longer than the bound, and the models do not change places at every request.

use std::collections::HashMap;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{super::*, world::*};
use crate::speech::Fault;

const SEEDS: u64 = 24;
/// The grain of time.
const TICK: Duration = Duration::from_millis(200);
const FETCH: Duration = Duration::from_secs(3);
const UNLOAD: Duration = Duration::from_secs(1);

/// Clients that ask, use the model for a while, rest, and ask again.
struct Crowd {
    world: World,
    clients: Vec<Client>,
    /// How long a load of each model takes.
    loads: Vec<Duration>,
    /// How long a request runs.
    jobs: Duration,
    random: StdRng,
    longest_wait: Duration,
}

struct Client {
    /// Which of the models it asks for: one of these, at random.
    models: Vec<usize>,
    rest: Duration,
    /// How long it waits before it goes, to come back when it was told to. `None`: as long as it takes.
    patience: Option<Duration>,
    state: State,
    served: usize,
}

enum State {
    Resting {
        until: Instant,
    },
    /// `since`: when it first asked.
    Waiting {
        model: usize,
        waiter: u64,
        since: Instant,
    },
    Away {
        model: usize,
        until: Instant,
        since: Instant,
    },
}

impl Crowd {
    fn new(rules: Rules, loads: Vec<Duration>, clients: Vec<Client>, jobs: Duration, random: StdRng) -> Self {
        let world = World::of(rules, loads.len());
        Self { world, clients, loads, jobs, random, longest_wait: Duration::ZERO }
    }

    fn run(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end {
            self.world.pass(TICK);
            self.work();
            self.clients_act();
        }
    }

    /// What is due is done.
    fn work(&mut self) {
        let now = self.world.now;
        let due = |works: &[Work], time: &dyn Fn(usize) -> Duration| {
            works.iter().filter(|work| now >= work.since + time(work.model)).map(|work| work.model).collect::<Vec<_>>()
        };
        due(&self.world.fetches, &|_| FETCH).into_iter().for_each(|model| self.world.fetched(model, None));
        due(&self.world.loads, &|model| self.loads[model]).into_iter().for_each(|model| self.world.loaded(model, None));
        due(&self.world.endings, &|_| UNLOAD).into_iter().for_each(|model| self.world.ended(model));
        let over = self.world.leases.iter().filter(|lease| now >= lease.since + self.jobs).map(|lease| lease.model);
        over.collect::<Vec<_>>().into_iter().for_each(|model| self.world.release(model));
    }

    fn clients_act(&mut self) {
        for at in 0..self.clients.len() {
            let (client, now) = (&self.clients[at], self.world.now);
            let next = match client.state {
                State::Resting { until } if now >= until => {
                    let model = client.models[self.random.random_range(0..client.models.len())];
                    self.ask(at, model, now)
                }
                State::Away { model, until, since } if now >= until => self.ask(at, model, since),
                State::Waiting { waiter, since, .. } if self.world.leased(waiter) => {
                    self.longest_wait = self.longest_wait.max(now - since);
                    let until = now + self.jobs + client.rest;
                    self.clients[at].served += 1;
                    State::Resting { until }
                }
                State::Waiting { model, waiter, since } if !self.world.waits(waiter) => {
                    let after = self.world.refusal(waiter).retry_after().expect("a time to come back");
                    State::Away { model, until: now + after, since }
                }
                State::Waiting { since, .. } | State::Away { since, .. } => {
                    self.longest_wait = self.longest_wait.max(now - since);
                    continue;
                }
                State::Resting { .. } => continue,
            };
            self.clients[at].state = next;
        }
    }

    fn ask(&mut self, client: usize, model: usize, since: Instant) -> State {
        let waiter = self.world.ask_for(model, LEASE, self.clients[client].patience, false);
        State::Waiting { model, waiter, since }
    }

    fn served(&self) -> usize {
        self.clients.iter().map(|client| client.served).sum()
    }

    fn switches(&self) -> usize {
        self.world.noted(|note| matches!(note, Note::Switching { .. }))
    }
}

fn client(models: &[usize], rest: Duration) -> Client {
    let state = State::Resting { until: Instant::now() };
    Client { models: models.to_vec(), rest, patience: None, state, served: 0 }
}

fn room_for(models: usize, room_patience: Duration) -> Rules {
    let limits = Limits { max_resident: Some(models), room_patience, ..rules().limits };
    Rules { limits, ..rules() }
}

#[test]
fn nobody_waits_longer_than_a_turn_of_each_model() {
    let mut waits = HashMap::new();
    for seed in 0..SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let models = random.random_range(2..=4);
        let patience = seconds(random.random_range(0..15));
        let loads: Vec<_> = (0..models).map(|_| seconds(random.random_range(1..15))).collect();
        let jobs = Duration::from_millis(random.random_range(100..5000));
        let mut any = |_| {
            // Most of them want the same one.
            let favourite = if random.random_bool(0.6) { 0 } else { random.random_range(0..models) };
            let models = if random.random_bool(0.8) { vec![favourite] } else { (0..models).collect() };
            client(&models, Duration::from_millis(random.random_range(0..2000)))
        };
        let clients = (0..8).map(&mut any).collect();
        let turn = patience + jobs + UNLOAD + *loads.iter().max().expect("models");
        let room = room_for(random.random_range(1..models), patience);
        let mut crowd = Crowd::new(room, loads, clients, jobs, random);
        crowd.run(seconds(150));
        // Each stage may be noticed some ticks late.
        let bound = FETCH + turn * models as u32 + TICK * 10 * models as u32;
        assert!(crowd.longest_wait <= bound, "seed {seed}: {:?} is longer than {bound:?}", crowd.longest_wait);
        assert!(crowd.served() > 0, "seed {seed}");
        waits.insert(seed, crowd.longest_wait);
    }
    assert!(waits.values().any(|wait| *wait > seconds(20)), "the bound is put to the test");
}

#[test]
fn two_clients_that_take_turns_share_the_memory_in_turns() {
    let clients = vec![client(&[0], TICK), client(&[1], TICK)];
    let (jobs, time) = (Duration::from_millis(200), seconds(400));
    let random = StdRng::seed_from_u64(0);
    let mut crowd = Crowd::new(room_for(1, seconds(10)), vec![seconds(5); 2], clients, jobs, random);
    crowd.run(time);
    // A turn, an unloading and a load are sixteen seconds; at every request it would be six and a half.
    assert!(crowd.switches() <= 400 / 16 + 2, "{} switches", crowd.switches());
    assert!(crowd.served() > 400, "{} requests were served", crowd.served());
}

#[test]
fn who_never_waits_and_comes_back_when_told_to_is_served_as_well() {
    for seed in 0..SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let models = random.random_range(2..=4);
        let patience = seconds(random.random_range(5..15));
        let loads = (0..models).map(|_| seconds(random.random_range(1..20))).collect();
        let clients = (0..models).map(|model| Client { patience: Some(Duration::ZERO), ..client(&[model], TICK) });
        let mut crowd = Crowd::new(room_for(1, patience), loads, clients.collect(), TICK, random);
        crowd.run(seconds(600));
        let served: Vec<_> = crowd.clients.iter().map(|client| client.served).collect();
        assert!(served.iter().all(|served| *served > 5), "seed {seed}: {served:?} of {models} models");
        assert!(crowd.longest_wait < seconds(200), "seed {seed}: {:?}", crowd.longest_wait);
    }
}
