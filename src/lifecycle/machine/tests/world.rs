//! A world around the machine: it does what the machine says, when the test says, and checks every promise on the way.

use std::collections::{BTreeMap, HashMap};
pub use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::super::*;
pub(in crate::lifecycle) use crate::lifecycle::residency::Limits;
pub use crate::lifecycle::{Failure, OnPreloadFailure, Unavailable};
use crate::{
    lifecycle::{Budget, Ended, FamilyChoice, KeepAlive, Status},
    model::Residency,
    store::Source,
};

/// A loaded model. Its machine has one clone of the last field; every lease another.
pub struct Loaded {
    model: usize,
    commit: String,
    attempt: Attempt,
    pool: Arc<()>,
}

/// The right to use one.
pub struct Lease {
    pub model: usize,
    pub commit: String,
    pub since: Instant,
    attempt: Attempt,
    _share: Arc<()>,
}

impl Resource for Loaded {
    type Lease = Lease;

    fn lend(&self) -> Lease {
        let Self { model, commit, attempt, pool } = self;
        // Its world says when it began.
        let since = Instant::now();
        Lease { model: *model, commit: commit.clone(), since, attempt: *attempt, _share: pool.clone() }
    }

    fn leased(&self) -> bool {
        Arc::strong_count(&self.pool) > 1
    }

    fn measured(&self) -> Option<u64> {
        None
    }
}

/// The files of a model at a commit.
#[derive(Clone)]
pub struct Files {
    model: usize,
    commit: String,
    held: bool,
}

/// What a caller was told.
#[derive(Debug)]
pub enum Told {
    Leased,
    Reached,
    Refused(Unavailable),
}

/// A fetch or a load that the machine ordered.
pub struct Work {
    pub model: usize,
    pub attempt: Attempt,
    /// Of a fetch: what was asked for. Of a load: what it is of.
    pub revision: String,
    pub since: Instant,
}

/// Memory that is taken, from the start of a load until its end is told.
pub struct Taken {
    device: &'static str,
    bytes: u64,
}

pub struct World {
    pub now: Instant,
    pub machine: Machine<Loaded, Files>,
    pub rules: Rules,
    pub specs: Vec<ModelSpec>,
    footprints: Vec<u64>,
    pub devices: Vec<&'static str>,
    /// How often each model's branch moved.
    pub moves: Vec<usize>,
    asked: u64,
    /// Waiter → model, and when its patience ends.
    pub open: BTreeMap<u64, (usize, Option<Instant>)>,
    pub told: HashMap<u64, Told>,
    pub fetches: Vec<Work>,
    pub loads: Vec<Work>,
    /// In memory, as it is told to the machine: by the attempt of the load.
    pub alive: BTreeMap<Attempt, usize>,
    pub endings: Vec<Work>,
    /// Files that are to be held.
    pub warming: Vec<(VersionId, Files)>,
    pub taken: BTreeMap<Attempt, Taken>,
    pub leases: Vec<Lease>,
    pub notes: Vec<Note>,
    pub exits: Vec<String>,
    pub counts: BTreeMap<&'static str, usize>,
}

pub fn rules() -> Rules {
    Rules {
        max_waiters: 1000,
        mode: LoadMode::OnDemand,
        limits: Limits { max_resident: None, budget: Budget::default(), warm: 0, room_patience: seconds(10) },
        idle_ttl: None,
        retry_base: seconds(1),
        retry_max: seconds(60),
        on_preload_failure: OnPreloadFailure::Retry,
    }
}

/// A budget for each device.
pub fn each(bytes: u64) -> Budget {
    Budget { each: Some(bytes), ..Budget::default() }
}

pub fn name(model: &str) -> ModelName {
    ModelName::known(model)
}

/// On the branch `main` of a repository of its own.
pub fn model(model: &str) -> ModelSpec {
    let source = Source::Hub { repo: model.to_owned(), revision: "main".to_owned() };
    ModelSpec {
        name: name(model),
        families: FamilyChoice::Among(&[]),
        parts: vec![("model".to_owned(), source)],
        preload: false,
        pinned: false,
        idle_ttl: None,
        overrides: Default::default(),
    }
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn transient() -> Failure {
    Failure::transient("the hub answers 503")
}

pub fn permanent() -> Failure {
    Failure { reason: "no such repository".to_owned(), permanent: true, retry_after: None, obstacle: None }
}

impl World {
    pub fn new(rules: Rules, specs: Vec<ModelSpec>, footprints: Vec<u64>) -> Self {
        Self {
            now: Instant::now(),
            machine: Machine::new(rules.clone(), specs.iter().cloned().map(Arc::new).collect()),
            rules,
            devices: vec!["cpu"; specs.len()],
            moves: vec![0; specs.len()],
            specs,
            footprints,
            asked: 0,
            open: BTreeMap::new(),
            told: HashMap::new(),
            fetches: Vec::new(),
            loads: Vec::new(),
            alive: BTreeMap::new(),
            endings: Vec::new(),
            warming: Vec::new(),
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

    pub fn step(&mut self, event: Event<Loaded, Files>) {
        let before: Vec<_> = self.machine.views(self.now).map(|view| revision(&view)).collect();
        let removes = matches!(event, Event::Configure { .. } | Event::Stop);
        let effects = self.machine.step(self.now, event);
        for model in only_the_update_failed(&effects).filter(|_| !removes) {
            let of = |revisions: &[(ModelName, Option<String>)]| revisions.iter().find(|it| it.0 == *model).cloned();
            let after: Vec<_> = self.machine.views(self.now).map(|view| revision(&view)).collect();
            assert_eq!(of(&before), of(&after), "a failed update changes nothing");
        }
        effects.into_iter().for_each(|effect| self.obey(effect));
        self.check();
    }

    fn obey(&mut self, effect: Effect<Loaded, Files>) {
        match effect {
            Effect::Fetch { attempt, spec, .. } => {
                let revision = spec.revision().expect("a revision").to_owned();
                self.fetches.push(Work { model: self.index(&spec.name), attempt, revision, since: self.now });
                self.count("fetch");
            }
            Effect::CancelFetch { attempt } => self.fetches.retain(|work| work.attempt != attempt),
            Effect::Load { attempt, spec, files, .. } => {
                self.count(if files.held { "warm load" } else { "cold load" });
                self.load(attempt, &spec, files.model, files.commit);
            }
            Effect::Warm { version, files, .. } => {
                self.warming.push((version, files));
                self.count("warm");
            }
            Effect::Cool { files } => {
                assert!(files.held, "only what is held is let go");
                self.count("cool");
            }
            Effect::Unload { resource } => {
                let attempt = resource.attempt;
                assert!(self.leases.iter().all(|lease| lease.attempt != attempt), "no eviction under a lease");
                self.alive.remove(&attempt).expect("only what is loaded is unloaded");
                let (model, revision) = (resource.model, resource.commit);
                self.endings.push(Work { model, attempt, revision, since: self.now });
                self.count("unload");
            }
            Effect::Answer { waiter, answer } => self.hear(waiter, answer),
            Effect::Exit { reason } => self.exits.push(reason),
            Effect::Note(note) => self.notes.push(note),
        }
    }

    fn load(&mut self, attempt: Attempt, spec: &ModelSpec, model: usize, revision: String) {
        assert_eq!(model, self.index(&spec.name), "its own files");
        let (device, bytes) = (self.devices[model], self.footprint(model, &revision));
        self.taken.insert(attempt, Taken { device, bytes });
        let there = self.taken.values().filter(|taken| taken.device == device);
        let sum: u64 = there.map(|taken| taken.bytes).sum();
        let limits = &self.rules.limits;
        assert!(limits.budget.on(device).is_none_or(|budget| sum <= budget), "{sum} bytes are over the budget");
        assert!(limits.max_resident.is_none_or(|most| self.taken.len() <= most), "too many models in memory");
        self.loads.push(Work { model, attempt, revision, since: self.now });
        self.count("load");
    }

    fn hear(&mut self, waiter: u64, answer: Answer<Loaded>) {
        let (model, _) = self.open.remove(&waiter).expect("an answer for somebody who waits, once");
        let told = match answer {
            Answer::Lease(lease) => {
                assert_eq!(lease.model, model, "the model that was asked for");
                assert!(self.alive.contains_key(&lease.attempt), "a lease on what is in memory");
                self.leases.push(Lease { since: self.now, ..lease });
                Told::Leased
            }
            Answer::Reached => Told::Reached,
            Answer::Refused(refusal) => Told::Refused(refusal),
        };
        self.told.insert(waiter, told);
    }

    fn check(&self) {
        assert!(self.open.values().all(|(_, until)| until.is_none_or(|until| until > self.now)), "patience is over");
        let deadline = self.machine.next_deadline(self.now);
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "what is due was done");
        let held = self.machine.views(self.now).filter(|view| view.warm);
        let held: u64 = held.filter_map(|view| view.stock).map(|stock| stock.size).sum();
        let host = self.taken.values().filter(|taken| taken.device == "cpu").map(|taken| taken.bytes).sum::<u64>();
        let limits = &self.rules.limits;
        assert!(held <= limits.warm, "{held} bytes are held");
        let budget = limits.budget.on("cpu").filter(|_| held > 0);
        assert!(budget.is_none_or(|budget| host + held <= budget), "the host is full");
        for view in self.machine.views(self.now) {
            let place = view.place.is_none_or(|place| place >= 1);
            assert!(place && (view.place.is_none() || view.expected_in.is_some()), "who has a place has an estimate");
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn counted(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or_default()
    }

    fn index(&self, name: &ModelName) -> usize {
        self.specs.iter().position(|spec| spec.name == *name).expect("a known model")
    }

    /// Each commit is a little different.
    fn footprint(&self, model: usize, commit: &str) -> u64 {
        self.footprints[model] + u64::from(commit.ends_with("heavy"))
    }

    /// What a branch or a tag stands for now.
    fn commit(&self, model: usize, revision: &str) -> String {
        match revision {
            "main" => format!("main-{}", self.moves[model]),
            tag => tag.to_owned(),
        }
    }

    // === what callers do ===

    fn wait_for(&mut self, model: usize, condition: WaitCondition, patience: Option<Duration>) -> Waiter {
        self.asked += 1;
        let until = patience.map(|patience| self.now + patience);
        // The answer may come within the step, whatever the patience.
        self.open.insert(self.asked, (model, until));
        Waiter { id: self.asked, condition, since: self.now, until }
    }

    pub fn ask_for(
        &mut self,
        model: usize,
        condition: WaitCondition,
        patience: Option<Duration>,
        explicit: bool,
    ) -> u64 {
        let waiter = self.wait_for(model, condition, patience);
        self.step(Event::Ask { model: self.specs[model].name.clone(), waiter, explicit });
        self.asked
    }

    /// For a lease, without end of patience.
    pub fn ask(&mut self, model: usize) -> u64 {
        self.ask_for(model, LEASE, None, false)
    }

    pub fn ask_to_keep(&mut self, model: usize, keep_alive: KeepAlive) -> u64 {
        self.ask_for(model, WaitCondition::Lease { keep_alive: Some(keep_alive) }, None, false)
    }

    /// To another revision; `main` is the branch that all are on.
    pub fn update(&mut self, model: usize, revision: &str) -> u64 {
        let waiter = self.wait_for(model, WaitCondition::Updated, None);
        let spec = Arc::new(self.specs[model].at(revision).expect("a revision"));
        self.step(Event::Update { spec, waiter });
        self.asked
    }

    pub fn leave(&mut self, waiter: u64) {
        self.open.remove(&waiter);
        self.step(Event::Left { waiter });
    }

    /// Ends the oldest lease on a model.
    pub fn release(&mut self, model: usize) {
        let at = self.leases.iter().position(|lease| lease.model == model).expect("a lease");
        drop(self.leases.remove(at));
        self.step(Event::Released);
    }

    /// What operators do.
    pub fn configure(&mut self, rules: Rules, served: &[usize]) {
        self.rules = Rules { mode: self.rules.mode, ..rules.clone() };
        let specs = served.iter().map(|model| Arc::new(self.specs[*model].clone())).collect();
        self.step(Event::Configure { rules, specs });
    }

    /// The commits that are in use, the oldest lease first.
    pub fn used(&self, model: usize) -> Vec<&str> {
        self.leases.iter().filter(|lease| lease.model == model).map(|lease| lease.commit.as_str()).collect()
    }

    // === what the backend does ===

    pub fn fetched(&mut self, model: usize, failure: Option<Failure>) {
        let at = self.fetches.iter().position(|work| work.model == model).expect("a fetch");
        let Work { attempt, revision, .. } = self.fetches.remove(at);
        let commit = self.commit(model, &revision);
        let stock = Stock {
            size: self.footprint(model, &commit),
            footprint: self.footprint(model, &commit).into(),
            residency: Residency::default(),
            device: self.devices[model].into(),
            revision: Some(commit.clone()),
            files: Files { model, commit, held: false },
        };
        self.step(Event::Fetched { attempt, result: failure.map_or(Ok(stock), Err), jitter: 1.0 });
    }

    pub fn loaded(&mut self, model: usize, failure: Option<Failure>) {
        let at = self.loads.iter().position(|work| work.model == model).expect("a load");
        let Work { attempt, revision: commit, .. } = self.loads.remove(at);
        let result = match failure {
            Some(failure) => {
                self.taken.remove(&attempt);
                Err(failure)
            }
            None => {
                self.alive.insert(attempt, model);
                Ok(Loaded { model, commit, attempt, pool: Arc::new(()) })
            }
        };
        self.step(Event::Loaded { attempt, result, jitter: 1.0 });
    }

    pub fn ended(&mut self, model: usize) {
        let at = self.endings.iter().position(|work| work.model == model).expect("an ending");
        let Work { attempt, .. } = self.endings.remove(at);
        self.taken.remove(&attempt);
        self.step(Event::Ended { attempt, end: Ended::default(), jitter: 1.0 });
    }

    /// Of all that were ordered so far.
    pub fn warmed(&mut self) {
        for (version, files) in std::mem::take(&mut self.warming) {
            self.step(Event::Warmed { version, files: Some(Files { held: true, ..files }) });
        }
    }

    pub fn died(&mut self, model: usize) {
        let attempt = *self.alive.iter().find(|(_, other)| **other == model).expect("a model in memory").0;
        self.alive.remove(&attempt);
        self.taken.remove(&attempt);
        let end = Ended { died: Some("it broke".to_owned()), ..Ended::default() };
        self.step(Event::Ended { attempt, end, jitter: 1.0 });
    }

    /// Brings a model in, without a lease.
    pub fn bring(&mut self, model: usize) {
        self.ask_for(model, WaitCondition::Ready, None, false);
        if self.fetches.iter().any(|work| work.model == model) {
            self.fetched(model, None);
        }
        self.loaded(model, None);
    }

    // === what time does ===

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.step(Event::Tick);
    }

    // === what may be seen ===

    pub fn view(&self, model: usize) -> View<'_, Loaded, Files> {
        let name = &self.specs[model].name;
        self.machine.views(self.now).find(|view| view.spec.name == *name).expect("a model")
    }

    pub fn status(&self, model: usize) -> Status {
        self.view(model).status
    }

    /// The commit that serves, or is here to serve.
    pub fn revision(&self, model: usize) -> Option<String> {
        revision(&self.view(model)).1
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

    pub fn noted(&self, noted: impl Fn(&Note) -> bool) -> usize {
        self.notes.iter().filter(|note| noted(note)).count()
    }
}

pub const LEASE: WaitCondition = WaitCondition::Lease { keep_alive: None };

fn revision(view: &View<'_, Loaded, Files>) -> (ModelName, Option<String>) {
    (view.spec.name.clone(), view.stock.and_then(|stock| stock.revision.clone()))
}

/// Models of which an update failed, and nothing else.
fn only_the_update_failed(effects: &[Effect<Loaded, Files>]) -> impl Iterator<Item = &ModelName> {
    let notes = || {
        effects.iter().filter_map(|effect| match effect {
            Effect::Note(note) => Some(note),
            _ => None,
        })
    };
    let failed =
        move |name: &ModelName| notes().any(|note| matches!(note, Note::Failed { model, .. } if model == name));
    let updates = notes().filter_map(|note| match note {
        Note::UpdateFailed { model, .. } => Some(model),
        _ => None,
    });
    updates.filter(move |model| !failed(model))
}
