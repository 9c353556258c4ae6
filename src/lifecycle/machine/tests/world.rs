//! A world around the machine: it does what the machine says, when the test says, and checks every promise on the way.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::super::*;
use crate::lifecycle::Status;

/// A loaded model of the slot.
#[derive(Clone, Debug)]
pub struct Resource(pub usize, Arc<()>);

impl super::super::Resource for Resource {
    fn leased(&self) -> bool {
        Arc::strong_count(&self.1) > 1
    }
}

/// What a caller was told.
#[derive(Debug)]
pub enum Told {
    Leased,
    Reached,
    Refused(Unavailable),
}

pub struct World {
    pub now: Instant,
    pub machine: Machine<Resource, usize>,
    limits: Limits,
    footprints: Vec<u64>,
    asked: u64,
    /// Waiter → slot, and when its patience ends.
    pub open: BTreeMap<u64, (usize, Option<Instant>)>,
    pub told: HashMap<u64, Told>,
    pub fetches: Vec<(usize, Attempt)>,
    pub loads: Vec<(usize, Attempt)>,
    /// Slot → attempt of what is in memory, as it is told to the machine.
    pub alive: BTreeMap<usize, Attempt>,
    pub endings: Vec<(usize, Attempt)>,
    /// Slot → bytes that are taken, from the start of a load until its end is told.
    pub taken: BTreeMap<usize, u64>,
    pub leases: Vec<Resource>,
    pub notes: Vec<Note>,
    pub exits: Vec<String>,
    pub counts: BTreeMap<&'static str, usize>,
}

pub fn rules() -> Rules {
    Rules {
        mode: LoadMode::OnDemand,
        limits: Limits { max_resident: None, budget: None, patience: seconds(10) },
        retry_base: seconds(1),
        retry_max: seconds(60),
        on_preload_failure: OnPreloadFailure::Retry,
    }
}

pub fn model(name: &str) -> Traits {
    Traits { name: ModelName::known(name), preload: false, pinned: false, idle_ttl: None }
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn transient() -> Failure {
    Failure::transient("the hub answers 503")
}

pub fn permanent() -> Failure {
    Failure { reason: "no such repository".to_owned(), permanent: true, retry_after: None }
}

impl World {
    pub fn new(rules: Rules, models: Vec<Traits>, footprints: Vec<u64>) -> Self {
        let limits = rules.limits.clone();
        Self {
            now: Instant::now(),
            machine: Machine::new(rules, models),
            limits,
            footprints,
            asked: 0,
            open: BTreeMap::new(),
            told: HashMap::new(),
            fetches: Vec::new(),
            loads: Vec::new(),
            alive: BTreeMap::new(),
            endings: Vec::new(),
            taken: BTreeMap::new(),
            leases: Vec::new(),
            notes: Vec::new(),
            exits: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Models `a`, `b`, … of 4 bytes each.
    pub fn of(rules: Rules, models: usize) -> Self {
        let names = ["a", "b", "c", "d"];
        Self::new(rules, names[..models].iter().map(|name| model(name)).collect(), vec![4; models])
    }

    pub fn step(&mut self, event: Event<Resource, usize>) {
        let effects = self.machine.step(self.now, event);
        effects.into_iter().for_each(|effect| self.obey(effect));
        self.check();
    }

    fn obey(&mut self, effect: Effect<Resource, usize>) {
        match effect {
            Effect::Fetch { slot, attempt } => {
                assert!(self.fetches.iter().all(|(other, _)| *other != slot), "one fetch at a time");
                assert!(!self.taken.contains_key(&slot), "what is in memory is not fetched");
                self.fetches.push((slot, attempt));
                self.count("fetch");
            }
            Effect::CancelFetch { attempt } => self.fetches.retain(|(_, other)| *other != attempt),
            Effect::Load { slot, attempt, files } => {
                assert_eq!(files, slot, "its own files");
                let before = self.taken.insert(slot, self.footprints[slot]);
                assert!(before.is_none(), "one load at a time, and only after the memory is free");
                self.loads.push((slot, attempt));
                self.count("load");
            }
            Effect::Unload { resource } => {
                assert!(
                    self.leases.iter().all(|lease| !Arc::ptr_eq(&lease.1, &resource.1)),
                    "no eviction under a lease"
                );
                let attempt = self.alive.remove(&resource.0).expect("only what is loaded is unloaded");
                self.endings.push((resource.0, attempt));
                self.count("unload");
            }
            Effect::Answer { waiter, answer } => self.hear(waiter, answer),
            Effect::Exit { reason } => self.exits.push(reason),
            Effect::Note(note) => self.notes.push(note),
        }
    }

    fn hear(&mut self, waiter: u64, answer: Answer<Resource>) {
        let (slot, _) = self.open.remove(&waiter).expect("an answer for somebody who waits, once");
        let told = match answer {
            Answer::Lease(resource) => {
                assert_eq!(resource.0, slot, "the model that was asked for");
                assert!(self.alive.contains_key(&slot), "a lease on what is in memory");
                self.leases.push(resource);
                Told::Leased
            }
            Answer::Reached => Told::Reached,
            Answer::Refused(refusal) => Told::Refused(refusal),
        };
        self.told.insert(waiter, told);
    }

    fn check(&self) {
        let bytes: u64 = self.taken.values().sum();
        assert!(self.limits.budget.is_none_or(|budget| bytes <= budget), "{bytes} bytes are over the budget");
        assert!(self.limits.max_resident.is_none_or(|most| self.taken.len() <= most), "too many models in memory");
        assert!(self.open.values().all(|(_, until)| until.is_none_or(|until| until > self.now)), "patience is over");
        let deadline = self.machine.next_deadline(self.now);
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "what is due was done");
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn counted(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or_default()
    }

    // === what callers do ===

    pub fn ask_for(&mut self, slot: usize, goal: Goal, patience: Option<Duration>, explicit: bool) -> u64 {
        self.asked += 1;
        let until = patience.map(|patience| self.now + patience);
        let waiter = Waiter { id: self.asked, goal, since: self.now, until };
        // The answer may come within the step, whatever the patience.
        self.open.insert(self.asked, (slot, until));
        self.step(Event::Ask { slot, waiter, explicit });
        self.asked
    }

    /// For a lease, without end of patience.
    pub fn ask(&mut self, slot: usize) -> u64 {
        self.ask_for(slot, Goal::Lease, None, false)
    }

    pub fn leave(&mut self, waiter: u64) {
        self.open.remove(&waiter);
        self.step(Event::Left { waiter });
    }

    /// Ends the oldest lease on a model.
    pub fn release(&mut self, slot: usize) {
        let at = self.leases.iter().position(|lease| lease.0 == slot).expect("a lease");
        drop(self.leases.remove(at));
        self.step(Event::Released);
    }

    // === what the backend does ===

    pub fn fetched(&mut self, slot: usize, failure: Option<Failure>) {
        let at = self.fetches.iter().position(|(other, _)| *other == slot).expect("a fetch");
        let (_, attempt) = self.fetches.remove(at);
        let stock = Stock { files: slot, footprint: self.footprints[slot] };
        let result = failure.map_or(Ok(stock), Err);
        self.step(Event::Fetched { slot, attempt, result, jitter: 1.0 });
    }

    pub fn loaded(&mut self, slot: usize, failure: Option<Failure>) {
        let at = self.loads.iter().position(|(other, _)| *other == slot).expect("a load");
        let (_, attempt) = self.loads.remove(at);
        let result = match failure {
            Some(failure) => {
                self.taken.remove(&slot);
                Err(failure)
            }
            None => {
                self.alive.insert(slot, attempt);
                Ok(Resource(slot, Arc::new(())))
            }
        };
        self.step(Event::Loaded { slot, attempt, result, jitter: 1.0 });
    }

    pub fn ended(&mut self, slot: usize) {
        let at = self.endings.iter().position(|(other, _)| *other == slot).expect("an ending");
        let (_, attempt) = self.endings.remove(at);
        self.taken.remove(&slot);
        self.step(Event::Ended { slot, attempt, end: Ended::default(), jitter: 1.0 });
    }

    pub fn died(&mut self, slot: usize) {
        let attempt = self.alive.remove(&slot).expect("a model in memory");
        self.taken.remove(&slot);
        let end = Ended { died: Some("it broke".to_owned()), freed: None };
        self.step(Event::Ended { slot, attempt, end, jitter: 1.0 });
    }

    /// Brings a model in, without a lease.
    pub fn bring(&mut self, slot: usize) {
        self.ask_for(slot, Goal::Ready, None, false);
        if self.fetches.iter().any(|(other, _)| *other == slot) {
            self.fetched(slot, None);
        }
        self.loaded(slot, None);
    }

    // === what time does ===

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.step(Event::Tick);
    }

    // === what may be seen ===

    pub fn status(&self, slot: usize) -> Status {
        self.machine.views().nth(slot).expect("a slot").status
    }

    pub fn refusal(&self, waiter: u64) -> &Unavailable {
        match self.told.get(&waiter) {
            Some(Told::Refused(refusal)) => refusal,
            other => panic!("refused, not {other:?}"),
        }
    }

    pub fn leased(&self, waiter: u64) -> bool {
        matches!(self.told.get(&waiter), Some(Told::Leased))
    }

    pub fn reached(&self, waiter: u64) -> bool {
        matches!(self.told.get(&waiter), Some(Told::Reached))
    }

    pub fn waits(&self, waiter: u64) -> bool {
        self.open.contains_key(&waiter)
    }
}
