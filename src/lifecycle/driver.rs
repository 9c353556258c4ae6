//! The one task that owns the machine: it waits, lets the machine decide, publishes, and carries the effects out.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};

use super::{
    Backend, Config, Facts, Failure, Fetched, Loaded, Metrics, ModelSpec, ModelStatus, Progress, Snapshot, Unavailable,
    handle::{Shared, Wake},
    journal::{self, Archive},
    machine::{Answer, Attempt, Effect, Event, Goal, Machine, Resource, Rules, Stock, Traits, View, Waiter},
    residency::Limits,
    snapshot::ErrorStatus,
};
use crate::speech::ModelName;

/// News on their way from fetches and loads; a sender waits when the driver is behind.
const NEWS: usize = 64;
/// Progress is told no more often than people can read it.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// `Some` executor for a lease, `None` for every other goal.
pub(super) type Reply<E> = Result<Option<Arc<E>>, Unavailable>;

/// What handles ask of the driver.
pub(super) enum Command<E> {
    Ask { name: ModelName, goal: Goal, patience: Option<Duration>, explicit: bool, reply: oneshot::Sender<Reply<E>> },
    Stop,
}

/// The owner of the machine.
pub(super) struct Driver<B: Backend> {
    backend: B,
    specs: Vec<ModelSpec>,
    mode: super::LoadMode,
    machine: Machine<Seat<B::Executor>, Arc<Fetched<B::Files>>>,
    inbox: mpsc::Receiver<Command<B::Executor>>,
    /// All handles are gone.
    deserted: bool,
    news: mpsc::Receiver<News<B>>,
    reporter: mpsc::Sender<News<B>>,
    replies: HashMap<u64, oneshot::Sender<Reply<B::Executor>>>,
    fetches: HashMap<Attempt, AbortHandle>,
    waiters: u64,
    shared: Arc<Shared>,
}

type News<B> = Event<Seat<<B as Backend>::Executor>, Arc<Fetched<<B as Backend>::Files>>>;

/// A loaded model. The machine has one clone; every lease another.
pub(super) struct Seat<E> {
    executor: Arc<E>,
    facts: Arc<Facts>,
}

// === impl Driver: waiting ===

impl<B: Backend> Driver<B> {
    pub fn new(
        config: Config,
        specs: Vec<ModelSpec>,
        backend: B,
        metrics: Metrics,
        inbox: mpsc::Receiver<Command<B::Executor>>,
    ) -> (Self, Arc<Shared>) {
        let machine = Machine::new(rules(&config), specs.iter().map(|spec| traits(spec, &config)).collect());
        let (reporter, news) = mpsc::channel(NEWS);
        let first = Arc::new(snapshot(config.mode, &machine));
        let shared = Arc::new(Shared {
            now: ArcSwap::new(first.clone()),
            changes: watch::Sender::new(first),
            fatal: watch::Sender::new(None),
            metrics,
            wake: Wake::default(),
        });
        let driver = Self {
            backend,
            specs,
            mode: config.mode,
            machine,
            inbox,
            deserted: false,
            news,
            reporter,
            replies: HashMap::new(),
            fetches: HashMap::new(),
            waiters: 0,
            shared: shared.clone(),
        };
        (driver, shared)
    }

    pub async fn run(mut self) {
        self.apply(Event::Start);
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
            Some(news) = self.news.recv() => self.apply(news),
            () = wake.woken() => self.look_around(),
            () = at(deadline) => self.apply(Event::Tick),
        }
    }

    fn command(&mut self, command: Option<Command<B::Executor>>) {
        match command {
            Some(Command::Ask { name, goal, patience, explicit, reply }) => {
                self.ask(name, goal, patience, explicit, reply);
            }
            Some(Command::Stop) => self.apply(Event::Stop),
            None => {
                self.deserted = true;
                self.apply(Event::Stop);
            }
        }
    }

    fn ask(
        &mut self,
        name: ModelName,
        goal: Goal,
        patience: Option<Duration>,
        explicit: bool,
        reply: oneshot::Sender<Reply<B::Executor>>,
    ) {
        let Some(slot) = self.specs.iter().position(|spec| spec.name == name) else {
            let _ = reply.send(Err(Unavailable::NotServed { model: name }));
            return;
        };
        self.waiters += 1;
        let since = now();
        // A patience beyond the end of time is none.
        let until = patience.and_then(|patience| since.checked_add(patience));
        let waiter = Waiter { id: self.waiters, goal, since, until };
        self.replies.insert(waiter.id, reply);
        self.apply(Event::Ask { slot, waiter, explicit });
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
    fn apply(&mut self, event: News<B>) {
        let effects = self.machine.step(now(), event);
        self.publish();
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn carry_out(&mut self, effect: Effect<Seat<B::Executor>, Arc<Fetched<B::Files>>>) {
        match effect {
            Effect::Fetch { slot, attempt } => self.fetch(slot, attempt),
            Effect::CancelFetch { attempt } => self.cancel(attempt),
            Effect::Load { slot, attempt, files } => self.load(slot, attempt, &files),
            Effect::Unload { resource } => drop(resource),
            Effect::Answer { waiter, answer } => self.answer(waiter, answer),
            Effect::Exit { reason } => drop(self.shared.fatal.send_replace(Some(reason))),
            Effect::Note(note) => journal::write(&note, self, &self.shared.metrics),
        }
    }

    fn fetch(&mut self, slot: usize, attempt: Attempt) {
        let (report, progress) = watch::channel(Progress::default());
        let fetch = contained(self.backend.fetch(&self.specs[slot], report));
        let reporter = self.reporter.clone();
        let task = tokio::spawn(async move {
            let telling = tell(progress, |progress| reporter.send(Event::Progress { slot, attempt, progress }));
            let result = tokio::select! { result = fetch => result, never = telling => match never {} };
            let result = result.map(|fetched| Stock { footprint: fetched.footprint, files: Arc::new(fetched) });
            let _ = reporter.send(Event::Fetched { slot, attempt, result, jitter: rand::random() }).await;
        });
        self.fetches.retain(|_, task| !task.is_finished());
        self.fetches.insert(attempt, task.abort_handle());
    }

    fn cancel(&mut self, attempt: Attempt) {
        if let Some(task) = self.fetches.remove(&attempt) {
            task.abort();
        }
    }

    fn load(&mut self, slot: usize, attempt: Attempt, files: &Fetched<B::Files>) {
        let load = contained(self.backend.load(&self.specs[slot], &files.files));
        let reporter = self.reporter.clone();
        tokio::spawn(async move {
            let loaded = load.await.map(|Loaded { executor, facts, ended }| (Seat::new(executor, facts), ended));
            let (result, ended) = match loaded {
                Ok((seat, ended)) => (Ok(seat), Some(ended)),
                Err(failure) => (Err(failure), None),
            };
            let _ = reporter.send(Event::Loaded { slot, attempt, result, jitter: rand::random() }).await;
            if let Some(ended) = ended {
                let end = ended.await;
                let _ = reporter.send(Event::Ended { slot, attempt, end, jitter: rand::random() }).await;
            }
        });
    }

    /// A lease for somebody who has just left comes back at once, and wakes the driver.
    fn answer(&mut self, waiter: u64, answer: Answer<Seat<B::Executor>>) {
        let Some(reply) = self.replies.remove(&waiter) else { return };
        let answer = match answer {
            Answer::Lease(seat) => Ok(Some(seat.executor)),
            Answer::Reached => Ok(None),
            Answer::Refused(refusal) => Err(refusal),
        };
        if reply.send(answer).is_err() {
            self.shared.wake.wake();
        }
    }

    fn publish(&self) {
        let next = Arc::new(snapshot(self.mode, &self.machine));
        self.shared.metrics.publish(&next);
        let before = self.shared.now.swap(next.clone());
        if next.differs(&before) {
            self.shared.changes.send_replace(next);
        }
    }
}

impl<B: Backend> Archive for Driver<B> {
    fn name(&self, slot: usize) -> &ModelName {
        &self.specs[slot].name
    }

    fn facts(&self, slot: usize) -> Option<&Facts> {
        self.machine.views().nth(slot)?.resource.map(|seat| &*seat.facts)
    }

    fn bytes(&self, slot: usize) -> (u64, u64) {
        let view = self.machine.views().nth(slot);
        let stock = view.and_then(|view| view.stock);
        stock.map_or((0, 0), |stock| (stock.files.bytes, stock.files.downloaded))
    }
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
        let news = *progress.borrow_and_update();
        send(news).await;
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
    std::future::pending().await
}

/// At the deadline; never, if there is none.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

// === from configuration to machine, from machine to snapshot ===

fn rules(config: &Config) -> Rules {
    Rules {
        mode: config.mode,
        limits: Limits {
            max_resident: config.max_resident,
            budget: config.memory_budget,
            patience: config.room_patience,
        },
        retry_base: config.retry_base,
        retry_max: config.retry_max,
        on_preload_failure: config.on_preload_failure,
    }
}

fn traits(spec: &ModelSpec, config: &Config) -> Traits {
    Traits {
        name: spec.name.clone(),
        preload: spec.preload,
        pinned: spec.pinned,
        idle_ttl: spec.idle_ttl.or(config.idle_ttl),
    }
}

fn snapshot<E, F>(mode: super::LoadMode, machine: &Machine<Seat<E>, Arc<Fetched<F>>>) -> Snapshot {
    Snapshot {
        mode,
        models: machine.views().map(status).collect(),
        preload_complete: machine.preload_complete(),
        preload_failed: machine.preload_failed(),
        stopping: machine.stopping(),
    }
}

fn status<E, F>(view: View<'_, Seat<E>, Arc<Fetched<F>>>) -> ModelStatus {
    let facts = view.resource.map(|seat| &*seat.facts);
    ModelStatus {
        name: view.traits.name.clone(),
        status: view.status,
        fetched: view.stock.is_some(),
        pinned: view.traits.pinned,
        preload: view.traits.preload,
        progress: view.progress,
        error: view.error.map(|error| ErrorStatus {
            message: error.message,
            permanent: error.permanent,
            attempts: error.attempts,
            retry_at: error.retry_at,
        }),
        revision: view.stock.and_then(|stock| stock.files.revision.clone()),
        device: facts.map(|facts| facts.device.clone()),
        dtype: facts.map(|facts| facts.dtype.clone()),
        footprint_bytes: view.stock.map(|stock| stock.footprint),
        resident_bytes: facts.and_then(|facts| facts.resident),
        load: facts.map(|facts| facts.load),
        warm: facts.map(|facts| facts.warm),
        since: view.since,
        idle_since: view.idle_since,
        waiting: view.waiting,
        pulse: facts.map(|facts| facts.pulse.clone()),
    }
}

// === impl Seat ===

impl<E> Seat<E> {
    fn new(executor: E, facts: Facts) -> Self {
        Self { executor: Arc::new(executor), facts: Arc::new(facts) }
    }
}

impl<E> Clone for Seat<E> {
    fn clone(&self) -> Self {
        Self { executor: self.executor.clone(), facts: self.facts.clone() }
    }
}

impl<E> Resource for Seat<E> {
    fn leased(&self) -> bool {
        Arc::strong_count(&self.executor) > 1
    }
}
