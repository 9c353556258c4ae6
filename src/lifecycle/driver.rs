//! The one task that owns the machine: it waits, lets the machine decide, publishes, and carries the effects out.

mod show;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::{AbortHandle, spawn_blocking},
};
use tracing::{Instrument, error_span};

use super::{
    Backend, Budget, Config, Facts, Failure, Fetched, LoadMode, Loaded, Metrics, ModelSpec, OnDisk, Progress,
    Unavailable,
    clock::{at, now},
    command::{AcquireRequest, Command, Granted, Reply},
    lease_pool::Wake,
    loaded_model::LoadedModel,
    log::{self, Details},
    machine::{Answer, Attempt, Effect, Event, Machine, Note, Rules, Stock, VersionId, WaitCondition, Waiter},
    residency::Limits,
    shared::Shared,
};
use crate::{model::Residency, speech::ModelName};

/// Events on their way from fetches and loads; a sender waits when the driver is behind.
const EVENTS: usize = 64;
/// Progress is told no more often than people can read it.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// The owner of the machine.
pub(super) struct Driver<B: Backend> {
    backend: B,
    mode: LoadMode,
    machine: Machine<LoadedModel<B::Executor>, Arc<Fetched<B::Files>>>,
    inbox: mpsc::Receiver<Command<B::Executor>>,
    /// All handles are gone.
    deserted: bool,
    events: mpsc::Receiver<EventOf<B>>,
    reporter: mpsc::Sender<EventOf<B>>,
    replies: HashMap<u64, oneshot::Sender<Reply<B::Executor>>>,
    fetches: HashMap<Attempt, AbortHandle>,
    /// What was found on this machine of models that nobody fetched yet.
    on_disk: HashMap<ModelName, OnDisk>,
    sightings: mpsc::Receiver<Sighting>,
    scout: mpsc::Sender<Sighting>,
    waiters: u64,
    /// Who asks just now: what he gets at once, he did not wait for.
    newcomer: Option<u64>,
    shared: Arc<Shared>,
}

/// A model, and what of it is on this machine.
type Sighting = (ModelName, Option<OnDisk>);

type EventOf<B> = Event<LoadedModel<<B as Backend>::Executor>, Arc<Fetched<<B as Backend>::Files>>>;

// === impl Driver: waiting ===

impl<B: Backend> Driver<B> {
    pub fn new(
        config: Config,
        specs: Vec<ModelSpec>,
        backend: B,
        metrics: Metrics,
        inbox: mpsc::Receiver<Command<B::Executor>>,
    ) -> (Self, Arc<Shared>) {
        metrics.allowed(&config.memory_budget);
        let machine = Machine::new(rules(&config), specs.into_iter().map(Arc::new).collect());
        let (reporter, events) = mpsc::channel(EVENTS);
        let (scout, sightings) = mpsc::channel(EVENTS);
        let on_disk = HashMap::new();
        let first = Arc::new(show::snapshot(config.mode, &machine, &on_disk));
        let shared = Arc::new(Shared {
            now: ArcSwap::new(first.clone()),
            changes: watch::Sender::new(first),
            fatal: watch::Sender::new(None),
            health: backend.health(),
            metrics,
            wake: Wake::new(Arc::new(Notify::new())),
        });
        let driver = Self {
            backend,
            mode: config.mode,
            machine,
            inbox,
            deserted: false,
            events,
            reporter,
            replies: HashMap::new(),
            fetches: HashMap::new(),
            on_disk,
            sightings,
            scout,
            waiters: 0,
            newcomer: None,
            shared: shared.clone(),
        };
        (driver, shared)
    }

    pub async fn run(mut self) {
        self.apply(Event::Start);
        self.look_at(self.machine.specs().cloned().collect());
        while !(self.machine.stopping() && self.machine.at_rest()) {
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let deadline = self.machine.next_deadline(now());
        let wake = self.shared.wake.clone();
        tokio::select! {
            command = self.inbox.recv(), if !self.deserted => self.command(command),
            // Never closed: the driver holds a sender itself.
            Some(event) = self.events.recv() => self.apply(event),
            Some((model, found)) = self.sightings.recv() => self.saw(model, found),
            () = wake.woken() => self.look_around(),
            () = at(deadline) => self.apply(Event::Tick),
        }
    }

    fn command(&mut self, command: Option<Command<B::Executor>>) {
        match command {
            Some(Command::Ask { name, condition, explicit, asked }) => {
                let waiter = self.waiter(condition, asked);
                self.newcomer = Some(waiter.id);
                self.apply(Event::Ask { model: name, waiter, explicit });
                self.newcomer = None;
            }
            Some(Command::Update { name, revision, asked }) => self.update(name, revision, asked),
            Some(Command::Configure { config, specs, done }) => {
                self.shared.metrics.allowed(&config.memory_budget);
                self.apply(Event::Configure { rules: rules(&config), specs });
                self.look_at(self.machine.specs().cloned().collect());
                let _ = done.send(());
            }
            Some(Command::Drain) => self.apply(Event::Drain),
            Some(Command::Stop) => self.apply(Event::Stop),
            None => {
                self.deserted = true;
                self.apply(Event::Stop);
            }
        }
    }

    fn update(&mut self, name: ModelName, revision: Option<String>, asked: AcquireRequest<B::Executor>) {
        let spec = match (self.machine.configured(&name), revision) {
            (None, _) => Err(Unavailable::NotServed { model: name }),
            (Some(spec), None) => Ok(spec.clone()),
            (Some(spec), Some(revision)) => {
                spec.at(&revision).map(Arc::new).map_err(|reason| Unavailable::NoRevision { model: name, reason })
            }
        };
        match spec {
            Ok(spec) => {
                let waiter = self.waiter(WaitCondition::Updated, asked);
                self.apply(Event::Update { spec, waiter });
            }
            Err(refusal) => drop(asked.reply.send(Err(refusal))),
        }
    }

    /// From now on there is somebody who waits.
    fn waiter(&mut self, condition: WaitCondition, asked: AcquireRequest<B::Executor>) -> Waiter {
        self.waiters += 1;
        self.replies.insert(self.waiters, asked.reply);
        let since = now();
        // A timeout beyond the end of time is none.
        let until = asked.timeout.and_then(|timeout| since.checked_add(timeout));
        Waiter { id: self.waiters, condition, since, until }
    }

    /// A lease ended or a caller left.
    fn look_around(&mut self) {
        let left: Vec<_> = self.replies.iter().filter(|(_, reply)| reply.is_closed()).map(|(id, _)| *id).collect();
        for waiter in left {
            self.replies.remove(&waiter);
            self.apply(Event::Left { waiter });
        }
        self.apply(Event::Released);
    }
}

// === impl Driver: effects ===

impl<B: Backend> Driver<B> {
    /// Who is answered sees what it was answered about: the snapshot is published first.
    fn apply(&mut self, event: EventOf<B>) {
        let effects = self.machine.step(now(), event);
        self.publish();
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn carry_out(&mut self, effect: Effect<LoadedModel<B::Executor>, Arc<Fetched<B::Files>>>) {
        match effect {
            Effect::Fetch { attempt, spec, budget } => self.fetch(attempt, &spec, budget),
            Effect::CancelFetch { attempt } => self.cancel(attempt),
            Effect::Load { attempt, spec, files, residency } => self.load(attempt, &spec, &files, residency),
            Effect::Warm { version, spec, files } => self.warm(version, &spec, &files),
            Effect::Cool { files } => drop(spawn_blocking(move || drop(files))),
            Effect::Unload { resource } => drop(resource),
            Effect::Answer { waiter, answer } => self.answer(waiter, answer),
            Effect::Exit { reason } => drop(self.shared.fatal.send_replace(Some(reason))),
            Effect::Note(note) => {
                log::write(&note, self, &self.shared.metrics);
                if let Note::Failed { model, .. } = &note {
                    // What was here may be it no more.
                    self.look_at(self.machine.configured(model).cloned().into_iter().collect());
                }
            }
        }
    }

    fn fetch(&mut self, attempt: Attempt, spec: &ModelSpec, budget: Option<Budget>) {
        let (report, progress) = watch::channel(Progress::default());
        // Of the highest level: each line of the log that comes out of it names the model by it, whatever the level is.
        let span = error_span!(parent: None, "download", model = %spec.name);
        let fetch = contained(self.backend.fetch(spec, budget, report)).instrument(span);
        let reporter = self.reporter.clone();
        let task = tokio::spawn(async move {
            let telling = tell(progress, |progress| reporter.send(Event::Progress { attempt, progress }));
            let result = tokio::select! { result = fetch => result, never = telling => match never {} };
            let _ = reporter.send(Event::Fetched { attempt, result: result.map(stock), jitter: rand::random() }).await;
        });
        self.fetches.retain(|_, task| !task.is_finished());
        self.fetches.insert(attempt, task.abort_handle());
    }

    fn cancel(&mut self, attempt: Attempt) {
        if let Some(task) = self.fetches.remove(&attempt) {
            task.abort();
        }
    }

    fn load(&mut self, attempt: Attempt, spec: &ModelSpec, files: &Fetched<B::Files>, residency: Residency) {
        let span = error_span!(parent: None, "load", model = %spec.name);
        let load = contained(self.backend.load(spec, &files.files, residency)).instrument(span);
        let (reporter, wake) = (self.reporter.clone(), self.shared.wake.clone());
        tokio::spawn(async move {
            let loaded =
                load.await.map(|Loaded { executor, facts, ended }| (LoadedModel::new(executor, facts, wake), ended));
            let (result, ended) = match loaded {
                Ok((loaded, ended)) => (Ok(loaded), Some(ended)),
                Err(failure) => (Err(failure), None),
            };
            let _ = reporter.send(Event::Loaded { attempt, result, jitter: rand::random() }).await;
            if let Some(ended) = ended {
                let end = ended.await;
                let _ = reporter.send(Event::Ended { attempt, end, jitter: rand::random() }).await;
            }
        });
    }

    fn warm(&self, version: VersionId, spec: &ModelSpec, files: &Arc<Fetched<B::Files>>) {
        let (warm, files) = (self.backend.warm(spec, &files.files), files.clone());
        let reporter = self.reporter.clone();
        tokio::spawn(async move {
            // A panic of the backend holds nothing.
            let held = AssertUnwindSafe(warm).catch_unwind().await.unwrap_or_default();
            let files = held.map(|held| Arc::new(Fetched { files: held, ..(*files).clone() }));
            let _ = reporter.send(Event::Warmed { version, files }).await;
        });
    }

    /// A lease for somebody who has just left ends at once, and wakes the driver.
    fn answer(&mut self, waiter: u64, answer: Answer<LoadedModel<B::Executor>>) {
        let Some(reply) = self.replies.remove(&waiter) else { return };
        let _ = reply.send(match answer {
            Answer::Lease(guard) => Ok(Some(Granted { guard, in_line: self.newcomer != Some(waiter) })),
            Answer::Reached => Ok(None),
            Answer::Refused(refusal) => Err(refusal),
        });
    }

    /// Has somebody look what of these is on this machine, one after the other, away from all that anybody waits for.
    fn look_at(&self, specs: Vec<Arc<ModelSpec>>) {
        let looks: Vec<_> = specs.iter().map(|spec| (spec.name.clone(), self.backend.look(spec))).collect();
        let scout = self.scout.clone();
        tokio::spawn(async move {
            for (model, look) in looks {
                // A panic of the backend is nothing that was found.
                let found = AssertUnwindSafe(look).catch_unwind().await.unwrap_or_default();
                if scout.send((model, found)).await.is_err() {
                    return;
                }
            }
        });
    }

    fn saw(&mut self, model: ModelName, found: Option<OnDisk>) {
        match found {
            Some(found) => self.on_disk.insert(model, found),
            None => self.on_disk.remove(&model),
        };
        self.publish();
    }

    fn publish(&self) {
        let next = Arc::new(show::snapshot(self.mode, &self.machine, &self.on_disk));
        let before = self.shared.now.swap(next.clone());
        self.shared.metrics.publish(&next, &before);
        if next.differs(&before) {
            self.shared.changes.send_replace(next);
        }
    }
}

impl<B: Backend> Details for Driver<B> {
    fn facts(&self, version: VersionId) -> Option<&Facts> {
        self.machine.resource(version).map(|loaded| &*loaded.facts)
    }

    fn bytes(&self, version: VersionId) -> (u64, u64) {
        self.machine.stock(version).map_or((0, 0), |stock| (stock.files.bytes, stock.files.downloaded))
    }
}

fn stock<F>(fetched: Fetched<F>) -> Stock<Arc<Fetched<F>>> {
    let (footprint, device) = (fetched.footprint, fetched.device.as_str().into());
    let (residency, size) = (Residency::default(), fetched.bytes);
    Stock { size, footprint, residency, device, revision: fetched.revision.clone(), files: Arc::new(fetched) }
}

/// A panic of the backend is a failure like any other.
async fn contained<T>(work: BoxFuture<'static, Result<T, Failure>>) -> Result<T, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(Failure::transient("it failed unexpectedly")))
}

/// Passes progress on, at a bounded rate; never ends.
async fn tell<F: Future>(
    mut progress: watch::Receiver<Progress>,
    send: impl Fn(Progress) -> F,
) -> std::convert::Infallible {
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        send(now).await;
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
    std::future::pending().await
}

// === from configuration to machine ===

fn rules(config: &Config) -> Rules {
    Rules {
        mode: config.mode,
        limits: Limits {
            max_resident: config.max_resident,
            budget: config.memory_budget.clone(),
            warm: config.memory_warm,
            room_patience: config.room_patience,
        },
        idle_ttl: config.idle_ttl,
        max_waiters: config.max_waiters,
        retry_base: config.retry_base,
        retry_max: config.retry_max,
        on_preload_failure: config.on_preload_failure,
    }
}
