//! The driver over a backend that does what each test tells it, on a clock of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{self, Instant},
};

mod versions;

use super::*;
use crate::{
    model::Residency,
    runtime::Pulse,
    speech::{Fault, Kind, ModelName},
};

/// Bytes that every model takes.
const FOOTPRINT: u64 = 100;
const WEIGH: Duration = Duration::from_secs(1);
const FETCH: Duration = Duration::from_secs(3);
const LOAD: Duration = Duration::from_secs(2);
const UNLOAD: Duration = Duration::from_secs(1);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the next fetch or load of a model does.
enum Turn {
    Fail(Failure),
    Panic,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What happened, in order.
    log: Vec<String>,
    fetches: BTreeMap<String, VecDeque<Turn>>,
    loads: BTreeMap<String, VecDeque<Turn>>,
    resident: usize,
    most_resident: usize,
    on_disk: BTreeMap<String, OnDisk>,
    /// Models are weighed before they are fetched.
    weighs_ahead: bool,
    /// What every model takes whose parts take turns, if they can.
    in_turns: Option<u64>,
    /// Lets a loaded model break.
    fuses: BTreeMap<String, oneshot::Sender<Ended>>,
}

/// A loaded model; its end begins when it is dropped.
struct Candle {
    _burning: oneshot::Sender<()>,
}

impl Fake {
    fn log(&self, what: &str, model: &str) {
        self.0.lock().log.push(format!("{what} {model}"));
    }

    fn happened(&self) -> Vec<String> {
        self.0.lock().log.clone()
    }

    fn times(&self, what: &str) -> usize {
        self.0.lock().log.iter().filter(|line| *line == what).count()
    }

    fn fetch_next(&self, model: &str, turn: Turn) {
        self.0.lock().fetches.entry(model.to_owned()).or_default().push_back(turn);
    }

    fn load_next(&self, model: &str, turn: Turn) {
        self.0.lock().loads.entry(model.to_owned()).or_default().push_back(turn);
    }

    fn enter(&self) {
        let mut state = self.0.lock();
        state.resident += 1;
        state.most_resident = state.most_resident.max(state.resident);
    }

    fn leave(&self, model: &str) {
        self.0.lock().resident -= 1;
        self.log("free", model);
    }

    fn break_down(&self, model: &str) {
        let fuse = self.0.lock().fuses.remove(model).expect("a loaded model");
        let end = Ended { died: Some("the model broke while it worked".to_owned()), ..Ended::default() };
        fuse.send(end).expect("somebody who listens");
    }
}

fn play(turn: Option<Turn>) -> Result<(), Failure> {
    match turn {
        None => Ok(()),
        Some(Turn::Fail(failure)) => Err(failure),
        Some(Turn::Panic) => panic!("a bug in the backend"),
    }
}

impl Backend for Fake {
    type Files = ();
    type Executor = Candle;

    fn look(&self, spec: &ModelSpec) -> BoxFuture<'static, Option<OnDisk>> {
        let (fake, name) = (self.clone(), spec.name.to_string());
        async move { fake.0.lock().on_disk.get(&name).cloned() }.boxed()
    }

    fn fetch(
        &self,
        spec: &ModelSpec,
        budget: Option<Budget>,
        report: Report,
    ) -> BoxFuture<'static, Result<Fetched<()>, Failure>> {
        let (fake, name) = (self.clone(), spec.name.to_string());
        let revision = spec.revision().map(str::to_owned);
        async move {
            fake.log("fetch", &name);
            if fake.0.lock().weighs_ahead {
                time::sleep(WEIGH).await;
                if budget.and_then(|budget| budget.on("cpu")).is_some_and(|limit| limit < FOOTPRINT) {
                    return Err(Failure::too_large(FOOTPRINT.into(), "cpu"));
                }
            }
            for bytes_done in [25, 50, 75, 100] {
                time::sleep(FETCH / 4).await;
                report.send_replace(Progress { bytes_done, bytes_total: 100, ..Progress::default() });
            }
            let turn = fake.0.lock().fetches.get_mut(&name).and_then(VecDeque::pop_front);
            play(turn)?;
            let revision = Some(revision.unwrap_or_else(|| "0123abc".to_owned()));
            let (device, parts) = ("cpu".to_owned(), Default::default());
            let footprint = Footprint { together: FOOTPRINT, in_turns: fake.0.lock().in_turns };
            Ok(Fetched { files: (), footprint, device, bytes: 100, downloaded: 100, revision, parts })
        }
        .boxed()
    }

    fn load(
        &self,
        spec: &ModelSpec,
        (): &(),
        residency: Residency,
    ) -> BoxFuture<'static, Result<Loaded<Candle>, Failure>> {
        let (fake, name) = (self.clone(), spec.name.to_string());
        async move {
            fake.log(if residency == Residency::InTurns { "load in turns" } else { "load" }, &name);
            fake.enter();
            time::sleep(LOAD).await;
            let turn = fake.0.lock().loads.get_mut(&name).and_then(VecDeque::pop_front);
            if let Err(failure) = play(turn) {
                fake.leave(&name);
                return Err(failure);
            }
            let (fuse, breaks) = oneshot::channel();
            fake.0.lock().fuses.insert(name.clone(), fuse);
            let (burning, out) = oneshot::channel::<()>();
            let facts = Facts {
                family: None,
                pulse: Arc::new(Pulse::default()),
                device: "cpu".to_owned(),
                dtype: "f32".to_owned(),
                residency: None,
                watermark: None,
                load: LOAD,
                warm: Duration::ZERO,
                resident: Some(90),
                outside: None,
            };
            let ended = async move {
                let end = tokio::select! {
                    Ok(end) = breaks => end,
                    _ = out => {
                        fake.log("unload", &name);
                        time::sleep(UNLOAD).await;
                        Ended { freed: Some(90), ..Ended::default() }
                    }
                };
                fake.leave(&name);
                end
            };
            Ok(Loaded { executor: Candle { _burning: burning }, facts, ended: ended.boxed() })
        }
        .boxed()
    }
}

struct Server {
    lifecycle: Lifecycle<Candle>,
    driver: JoinHandle<()>,
    fake: Fake,
    registry: prometheus::Registry,
}

impl Server {
    fn start(config: Config, models: &[&str]) -> Self {
        Self::with(config, models.iter().map(|model| spec(model)).collect(), Fake::default())
    }

    fn with(config: Config, specs: Vec<ModelSpec>, fake: Fake) -> Self {
        let registry = prometheus::Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let (lifecycle, driver) = Lifecycle::start(config, specs, fake.clone(), metrics);
        Self { lifecycle, driver, fake, registry }
    }

    /// By somebody who leaves before a second try.
    async fn acquire_once(&self, model: &str, timeout: Duration) -> Result<Lease<Candle>, Unavailable> {
        self.lifecycle.acquire(&name(model), AcquireOptions::within(timeout)).await
    }

    async fn acquire(&self, model: &str) -> Result<Lease<Candle>, Unavailable> {
        self.lifecycle.acquire(&name(model), AcquireOptions::within(PATIENCE)).await
    }

    fn status(&self, model: &str) -> ModelStatus {
        self.lifecycle.snapshot().model(&name(model)).unwrap().clone()
    }

    /// Waits until a model is in a state.
    async fn until(&self, model: &str, status: Status) {
        let mut watch = self.lifecycle.watch();
        let there = |snapshot: &Arc<Snapshot>| snapshot.model(&name(model)).unwrap().status == status;
        time::timeout(PATIENCE, watch.wait_for(there)).await.expect("the state in time").unwrap();
    }

    fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("a metric of that name");
        let labelled = |metric: &&prometheus::proto::Metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        };
        let value =
            |metric: &prometheus::proto::Metric| metric.get_gauge().get_value() + metric.get_counter().get_value();
        family.get_metric().iter().filter(labelled).map(value).sum()
    }
}

fn config() -> Config {
    Config {
        max_waiters: 100,
        mode: LoadMode::OnDemand,
        max_resident: None,
        memory_budget: Budget::default(),
        idle_ttl: None,
        memory_warm: 0,
        room_patience: Duration::from_secs(10),
        retry_base: Duration::from_secs(1),
        retry_max: Duration::from_secs(60),
        on_preload_failure: OnPreloadFailure::Retry,
    }
}

fn single() -> Config {
    Config { max_resident: Some(1), ..config() }
}

fn startup() -> Config {
    Config { mode: LoadMode::Startup, ..config() }
}

fn spec(model: &str) -> ModelSpec {
    ModelSpec {
        name: name(model),
        families: FamilyChoice::Among(&[]),
        parts: Vec::new(),
        preload: false,
        pinned: false,
        idle_ttl: None,
        overrides: Default::default(),
    }
}

fn preloaded(model: &str) -> ModelSpec {
    ModelSpec { preload: true, ..spec(model) }
}

fn name(model: &str) -> ModelName {
    ModelName::known(model)
}

fn hub_is_down() -> Turn {
    Turn::Fail(Failure::transient("the hub answers 503"))
}

fn no_such_repository() -> Turn {
    Turn::Fail(Failure { reason: "no such repository".to_owned(), permanent: true, retry_after: None, obstacle: None })
}

#[tokio::test(start_paused = true)]
async fn a_hundred_first_requests_cause_one_fetch_and_one_load() {
    let server = Server::start(config(), &["a"]);
    let began = Instant::now();
    let leases = join_all((0..100).map(|_| server.acquire("a"))).await;
    assert!(leases.iter().all(Result::is_ok));
    assert_eq!(server.fake.happened(), ["fetch a", "load a"]);
    assert!(began.elapsed() < FETCH + LOAD + Duration::from_millis(100));
    assert_eq!(leases[99].as_ref().unwrap().waited().as_secs(), 5);
    assert_eq!(server.metric("sconce_model_state", "ready"), 1.0);
    assert_eq!(server.metric("sconce_model_state", "loading"), 0.0);
    assert_eq!(server.metric("sconce_model_resident_bytes", "a"), 90.0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_nothing_for_the_others() {
    let server = Server::start(config(), &["a"]);
    let leaves = time::timeout(Duration::from_secs(1), server.acquire("a"));
    let (left, stays) = tokio::join!(leaves, server.acquire("a"));
    assert!(left.is_err() && stays.is_ok());
    assert_eq!(server.fake.happened(), ["fetch a", "load a"]);

    let server = Server::start(config(), &["a"]);
    assert!(time::timeout(Duration::from_secs(1), server.acquire("a")).await.is_err());
    server.until("a", Status::Ready).await;
    assert_eq!(server.status("a").waiting, 0);
    assert!(server.acquire("a").await.is_ok());
    assert_eq!(server.fake.happened(), ["fetch a", "load a"]);
}

#[tokio::test(start_paused = true)]
async fn progress_is_seen_by_everybody_and_told_to_the_impatient() {
    let server = Server::start(config(), &["a"]);
    let refused = server.lifecycle.acquire(&name("a"), AcquireOptions::within(Duration::ZERO)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.permanent()), (Kind::Loading, false));
    assert!(refused.retry_after().is_some());

    let mut watch = server.lifecycle.watch();
    let half = |snapshot: &Arc<Snapshot>| snapshot.models[0].progress.is_some_and(|progress| progress.bytes_done >= 50);
    watch.wait_for(half).await.unwrap();
    let json = serde_json::to_value(&*server.lifecycle.snapshot()).unwrap();
    assert_eq!(json["load_mode"], "on_demand");
    assert_eq!(json["models"][0]["status"], "downloading");
    assert_eq!(json["models"][0]["progress"]["bytes_total"], 100);

    server.until("a", Status::Ready).await;
    let json = serde_json::to_value(&*server.lifecycle.snapshot()).unwrap();
    assert_eq!((&json["models"][0]["device"], &json["models"][0]["revision"]), (&"cpu".into(), &"0123abc".into()));
    assert_eq!((&json["models"][0]["load_seconds"], &json["models"][0]["queue_depth"]), (&2.0.into(), &0.into()));
}

#[tokio::test(start_paused = true)]
async fn the_hub_fails_and_the_server_recovers_without_a_restart() {
    let server = Server::start(config(), &["a"]);
    server.fake.fetch_next("a", hub_is_down());
    let soon = Duration::from_millis(400);
    let refused = join_all((0..10).map(|_| server.acquire_once("a", FETCH + soon))).await;
    for refusal in refused.into_iter().map(Result::unwrap_err) {
        assert!(refusal.to_string().contains("the hub answers 503"), "{refusal}");
        assert_eq!(refusal.kind(), Kind::Unavailable);
        let retry_after = refusal.retry_after().unwrap();
        assert!((0.5..=1.0).contains(&retry_after.as_secs_f64()), "{retry_after:?}");
    }
    let at = Instant::now();
    assert!(server.acquire_once("a", soon).await.is_err());
    assert_eq!(at.elapsed(), Duration::ZERO, "answered at once");
    assert_eq!(server.status("a").error.unwrap().attempts, 1);
    assert_eq!(server.metric("sconce_model_failures_total", "a"), 1.0);

    time::sleep(Duration::from_secs(1)).await;
    assert!(server.acquire("a").await.is_ok());
    assert!(server.status("a").error.is_none());
    assert_eq!(server.fake.times("fetch a"), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_long_enough_outlasts_failures_that_pass() {
    let server = Server::start(config(), &["a"]);
    (0..3).for_each(|_| server.fake.fetch_next("a", hub_is_down()));
    server.fake.load_next("a", Turn::Panic);
    for lease in join_all((0..50).map(|_| server.acquire("a"))).await {
        assert!(lease.unwrap().waited() > FETCH * 5 + LOAD);
    }
    // After a load that failed the files are looked at anew.
    assert_eq!((server.fake.times("fetch a"), server.fake.times("load a")), (5, 2));

    server.fake.fetch_next("b", no_such_repository());
    let server = Server::with(config(), vec![spec("b")], server.fake.clone());
    let at = Instant::now();
    assert!(server.acquire("b").await.unwrap_err().permanent());
    assert_eq!(at.elapsed(), FETCH, "what does not pass is told at once");
}

#[tokio::test(start_paused = true)]
async fn who_sits_a_failure_out_is_told_that_the_server_stops() {
    let fake = Fake::default();
    let slow = Config { retry_base: Duration::from_secs(60), ..config() };
    fake.fetch_next("a", hub_is_down());
    let server = Server::with(slow, vec![spec("a")], fake);
    let lifecycle = server.lifecycle.clone();
    let stop = async {
        server.until("a", Status::Failed).await;
        lifecycle.drain().await;
    };
    let at = Instant::now();
    let (waiting, ()) = tokio::join!(server.acquire("a"), stop);
    let refusal = waiting.unwrap_err();
    assert!(refusal == Unavailable::Stopping && refusal.retry_after().is_some(), "{refusal}");
    assert!(at.elapsed() < FETCH * 2, "{:?}", at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_are_refused_when_they_come() {
    let server = Server::start(Config { max_waiters: 3, ..config() }, &["a"]);
    let asked = join_all((0..5).map(|_| server.acquire("a"))).await;
    let (served, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
    assert_eq!(served.len(), 3);
    for refusal in refused.into_iter().map(Result::unwrap_err) {
        assert!(refusal.kind() == Kind::Busy && refusal.to_string().contains("limits.waiters"), "{refusal}");
        assert!(refusal.retry_after().is_some());
    }
    drop(served);
    assert!(server.acquire("a").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_backend_is_a_failure_like_any_other() {
    let server = Server::start(config(), &["a", "b"]);
    server.fake.fetch_next("a", Turn::Panic);
    server.fake.load_next("a", Turn::Panic);
    let failed = |outcome| matches!(outcome, Err(Unavailable::Failed { permanent: false, .. }));
    let soon = Duration::from_millis(400);
    assert!(failed(server.acquire_once("a", FETCH + soon).await.map(drop)));
    time::sleep(Duration::from_secs(1)).await;
    assert!(failed(server.acquire_once("a", FETCH + LOAD + soon).await.map(drop)));
    assert!(server.acquire("b").await.is_ok(), "others do not notice");
    time::sleep(Duration::from_secs(2)).await;
    assert!(server.acquire("a").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_model_that_breaks_is_loaded_again_after_a_pause() {
    let server = Server::start(config(), &["a"]);
    drop(server.acquire("a").await.unwrap());
    server.fake.break_down("a");
    server.until("a", Status::Failed).await;
    assert!(server.acquire_once("a", Duration::ZERO).await.unwrap_err().to_string().contains("broke"));
    time::sleep(Duration::from_secs(1)).await;
    assert!(server.acquire("a").await.is_ok());
    assert_eq!(server.fake.times("load a"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_switch_unloads_frees_and_then_loads() {
    let server = Server::start(single(), &["a", "b"]);
    drop(server.acquire("a").await.unwrap());
    drop(server.acquire("b").await.unwrap());
    assert_eq!(server.fake.happened(), ["fetch a", "load a", "fetch b", "unload a", "free a", "load b"]);
    drop(server.acquire("a").await.unwrap());
    assert_eq!(server.fake.happened()[6..], ["unload b", "free b", "load a"], "the files are still here");
    assert_eq!(server.fake.0.lock().most_resident, 1);
    assert_eq!(server.metric("sconce_model_switches_total", ""), 2.0);
    assert_eq!(server.metric("sconce_model_evictions_total", "room"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_holds_off_a_switch_until_it_ends() {
    let server = Server::start(single(), &["a", "b"]);
    let lease = server.acquire("a").await.unwrap();
    let refused =
        server.lifecycle.acquire(&name("b"), AcquireOptions::within(Duration::from_secs(20))).await.unwrap_err();
    assert!(matches!(refused, Unavailable::NoRoom { .. }));
    assert_eq!(server.fake.times("unload a"), 0);
    drop(lease);
    assert!(server.acquire("b").await.is_ok());
    assert_eq!(server.fake.0.lock().most_resident, 1);
}

#[tokio::test(start_paused = true)]
async fn clients_of_two_models_on_the_memory_of_one_are_all_served() {
    let server = Server::start(single(), &["a", "b"]);
    let client = async |at: u64| {
        for round in 0..5 {
            let lease = server.acquire(if (at + round).is_multiple_of(2) { "a" } else { "b" }).await.unwrap();
            time::sleep(Duration::from_millis(100 * at)).await;
            drop(lease);
        }
    };
    time::timeout(PATIENCE, join_all((0..8).map(client))).await.expect("everybody is served");
    assert_eq!(server.fake.0.lock().most_resident, 1);
    assert_eq!(server.metric("sconce_waiting_requests", ""), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_model_is_unloaded() {
    let server = Server::start(Config { idle_ttl: Some(Duration::from_secs(30)), ..config() }, &["a"]);
    drop(server.acquire("a").await.unwrap());
    time::sleep(Duration::from_secs(29)).await;
    assert_eq!(server.status("a").status, Status::Ready);
    time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.status("a").status, Status::NotLoaded);
    assert_eq!(server.fake.happened(), ["fetch a", "load a", "unload a", "free a"]);
    assert_eq!(server.metric("sconce_model_evictions_total", "idle"), 1.0);
    assert_eq!(server.metric("sconce_model_resident_bytes", "a"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn models_can_be_prepared_so_that_the_first_request_does_not_wait() {
    let server = Server::start(config(), &["a", "b"]);
    let names = [name("a"), name("b")];
    let started = server.lifecycle.prepare(&names, Target::Ready, Some(Duration::ZERO)).await;
    let states: Vec<_> = started.iter().map(|(_, status)| status.as_ref().unwrap().status).collect();
    assert_eq!(states, [Status::Downloading, Status::Downloading]);
    let ready = server.lifecycle.prepare(&names, Target::Ready, None).await;
    assert!(ready.iter().all(|(_, status)| status.as_ref().unwrap().status == Status::Ready));
    assert_eq!(server.acquire("a").await.unwrap().waited(), Duration::ZERO);
    assert_eq!(server.fake.times("fetch a"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_explicit_ask_tries_again_at_once_what_failed_for_good() {
    let server = Server::start(config(), &["a"]);
    server.fake.fetch_next("a", no_such_repository());
    let names = [name("a")];
    let failed = server.lifecycle.prepare(&names, Target::Fetched, None).await;
    let error = failed[0].1.as_ref().unwrap().error.clone().unwrap();
    assert!(error.permanent && error.message.contains("no such repository"));
    time::sleep(Duration::from_secs(10_000)).await;
    assert!(server.acquire("a").await.unwrap_err().permanent());

    let fetched = server.lifecycle.prepare(&names, Target::Fetched, None).await;
    let status = fetched[0].1.as_ref().unwrap();
    assert!(status.fetched && status.status == Status::NotLoaded);
    assert_eq!(server.fake.happened(), ["fetch a", "fetch a"]);
}

fn within(bytes: u64) -> Config {
    Config { memory_budget: Budget { each: Some(bytes), ..Budget::default() }, ..config() }
}

fn weighing_ahead() -> Fake {
    let fake = Fake::default();
    fake.0.lock().weighs_ahead = true;
    fake
}

#[tokio::test(start_paused = true)]
async fn what_can_never_fit_is_refused_before_it_is_fetched() {
    let server = Server::with(within(99), vec![spec("a")], weighing_ahead());
    assert!(matches!(
        server.acquire("a").await,
        Err(Unavailable::WontFit { need: Footprint { together: 100, .. }, budget: 99, .. })
    ));
    let status = server.status("a");
    assert!(status.status == Status::Failed && !status.fetched && status.error.unwrap().permanent);
    assert!(server.acquire("a").await.is_err());
    assert_eq!(server.fake.happened(), ["fetch a"], "it is not tried again");

    let fetched = server.lifecycle.prepare(&[name("a")], Target::Fetched, None).await;
    assert!(fetched[0].1.as_ref().unwrap().fetched, "who wants the files alone gets them");
    assert!(matches!(server.acquire("a").await, Err(Unavailable::WontFit { .. })));
}

#[tokio::test(start_paused = true)]
async fn parts_take_turns_where_there_is_no_room_for_all_of_them() {
    let fake = Fake::default();
    fake.0.lock().in_turns = Some(95);
    let server = Server::with(within(99), vec![spec("a")], fake);
    let (names, counted) = ([name("a")], |server: &Server| server.status("a").footprint_bytes);
    server.lifecycle.prepare(&names, Target::Fetched, None).await;
    drop(server.acquire("a").await.unwrap());
    assert_eq!(counted(&server), Some(95));

    server.lifecycle.reconfigure(within(94), vec![spec("a")]).await;
    let refused = server.acquire("a").await.unwrap_err().to_string();
    assert!(refused.contains("needs 100 bytes (95 where its parts take turns) of memory on cpu"), "{refused}");
    server.lifecycle.reconfigure(within(100), vec![spec("a")]).await;
    drop(server.acquire("a").await.unwrap());
    assert_eq!(counted(&server), Some(100));
    assert_eq!(server.fake.happened(), ["fetch a", "load in turns a", "unload a", "free a", "load a"]);
}

#[tokio::test(start_paused = true)]
async fn who_wants_the_files_gets_them_though_others_are_refused_the_model() {
    let server = Server::with(within(99), vec![spec("a")], weighing_ahead());
    let names = [name("a")];
    let fetched = async {
        time::sleep(WEIGH / 2).await;
        server.lifecycle.prepare(&names, Target::Fetched, None).await
    };
    let (refused, fetched) = tokio::join!(server.acquire("a"), fetched);
    assert!(matches!(refused, Err(Unavailable::WontFit { .. })));
    let status = fetched[0].1.as_ref().unwrap();
    assert!(status.fetched && status.error.is_none());
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_raised_while_a_model_is_weighed_count() {
    let server = Server::with(within(99), vec![spec("a")], weighing_ahead());
    let raise = async {
        time::sleep(WEIGH / 2).await;
        server.lifecycle.reconfigure(within(100), vec![spec("a")]).await;
    };
    let (lease, ()) = tokio::join!(server.acquire("a"), raise);
    lease.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_model_can_never_fit_says_so_at_its_start() {
    let config = Config { mode: LoadMode::Startup, ..within(99) };
    let preloaded = ModelSpec { preload: true, ..spec("a") };
    let server = Server::with(config, vec![preloaded], weighing_ahead());
    server.until("a", Status::Failed).await;
    time::sleep(Duration::from_secs(10_000)).await;
    let snapshot = server.lifecycle.snapshot();
    assert!(!snapshot.preload_complete && snapshot.preload_failed.as_ref().unwrap().contains("100 bytes"));
    assert_eq!(server.fake.happened(), ["fetch a"], "it is not tried again");
}

#[tokio::test(start_paused = true)]
async fn files_that_are_here_are_known_before_anybody_asks() {
    let fake = Fake::default();
    let found = OnDisk { revision: Some("0123abc".to_owned()), ..OnDisk::default() };
    fake.0.lock().on_disk.insert("a".to_owned(), found);
    let server = Server::with(config(), vec![spec("a"), spec("b")], fake);
    let mut watch = server.lifecycle.watch();
    let seen = watch.wait_for(|snapshot| snapshot.model(&name("a")).unwrap().fetched);
    time::timeout(PATIENCE, seen).await.expect("in time").unwrap();
    assert_eq!(server.status("a").revision.as_deref(), Some("0123abc"));
    assert!(!server.status("b").fetched);

    server.fake.0.lock().on_disk.clear();
    server.fake.fetch_next("a", no_such_repository());
    assert!(server.acquire("a").await.is_err());
    let mut watch = server.lifecycle.watch();
    let gone = watch.wait_for(|snapshot| !snapshot.model(&name("a")).unwrap().fetched);
    time::timeout(PATIENCE, gone).await.expect("after a failure it is looked again").unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_fit_is_said_to_those_who_prepare() {
    let server =
        Server::start(Config { memory_budget: Budget { each: Some(99), ..Budget::default() }, ..config() }, &["a"]);
    assert!(matches!(
        server.acquire("a").await,
        Err(Unavailable::WontFit { need: Footprint { together: 100, .. }, budget: 99, .. })
    ));
    let prepared = server.lifecycle.prepare(&[name("a")], Target::Ready, None).await;
    let error = prepared[0].1.as_ref().unwrap().error.clone().unwrap();
    assert!(error.permanent && error.message.contains("100 bytes"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn an_unload_ends_when_the_memory_is_free() {
    let server = Server::start(config(), &["a"]);
    let lease = server.acquire("a").await.unwrap();
    let giving_back = async {
        time::sleep(Duration::from_secs(5)).await;
        drop(lease);
    };
    let name = name("a");
    let (unloaded, ()) = tokio::join!(server.lifecycle.unload(&name), giving_back);
    assert_eq!(unloaded, Ok(()));
    assert_eq!(server.fake.happened(), ["fetch a", "load a", "unload a", "free a"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_nobody_configured_is_refused() {
    let server = Server::start(config(), &["a"]);
    let refused = server.acquire("x").await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    assert!(server.lifecycle.prepare(&[name("x")], Target::Ready, None).await[0].1.is_err());
}

#[tokio::test(start_paused = true)]
async fn startup_is_complete_when_all_preloads_are_ready_and_then_nobody_waits() {
    let specs = vec![preloaded("a"), preloaded("b"), spec("c")];
    let server = Server::with(startup(), specs, Fake::default());
    assert!(!server.lifecycle.snapshot().preload_complete);
    let mut watch = server.lifecycle.watch();
    watch.wait_for(|snapshot| snapshot.preload_complete).await.unwrap();
    for model in ["a", "b"] {
        assert_eq!(server.acquire(model).await.unwrap().waited(), Duration::ZERO);
    }
    assert_eq!(server.status("c").status, Status::NotLoaded);
}

#[tokio::test(start_paused = true)]
async fn a_failed_preload_says_why_and_recovers_by_itself() {
    for mode in [LoadMode::Startup, LoadMode::Background] {
        let fake = Fake::default();
        fake.fetch_next("a", hub_is_down());
        fake.fetch_next("a", hub_is_down());
        let server = Server::with(Config { mode, ..config() }, vec![preloaded("a")], fake);
        server.until("a", Status::Failed).await;
        let snapshot = server.lifecycle.snapshot();
        assert_eq!(snapshot.preload_failed.as_deref(), Some("a: the hub answers 503"));
        assert!(!snapshot.preload_complete);
        server.until("a", Status::Ready).await;
        assert!(server.lifecycle.snapshot().preload_complete);
        assert_eq!(server.fake.times("fetch a"), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_preload_can_end_the_process_or_be_left_to_the_first_request() {
    let fake = Fake::default();
    fake.load_next("a", hub_is_down());
    let exit = Config { on_preload_failure: OnPreloadFailure::Exit, ..startup() };
    let server = Server::with(exit, vec![preloaded("a")], fake);
    let reason = time::timeout(PATIENCE, server.lifecycle.fatal()).await.expect("a reason to exit");
    assert!(reason.contains('a') && reason.contains("the hub answers 503"), "{reason}");

    let fake = Fake::default();
    fake.load_next("a", hub_is_down());
    let lazy = Config { on_preload_failure: OnPreloadFailure::Lazy, ..startup() };
    let server = Server::with(lazy, vec![preloaded("a")], fake);
    server.until("a", Status::Failed).await;
    assert!(server.lifecycle.snapshot().preload_complete);
    time::sleep(PATIENCE).await;
    assert_eq!(server.fake.times("fetch a"), 1);
    assert!(server.acquire("a").await.is_ok());
    assert!(time::timeout(PATIENCE, server.lifecycle.fatal()).await.is_err(), "no reason to exit");
}

#[tokio::test(start_paused = true)]
async fn on_demand_fetches_nothing_before_it_is_asked() {
    let server = Server::with(config(), vec![preloaded("a")], Fake::default());
    assert!(server.lifecycle.snapshot().preload_complete);
    time::sleep(PATIENCE).await;
    assert!(server.fake.happened().is_empty());
}

#[tokio::test(start_paused = true)]
async fn shutdown_refuses_newcomers_waits_for_leases_and_frees_everything() {
    let server = Server::start(config(), &["a", "b"]);
    let lease = server.acquire("a").await.unwrap();
    let lifecycle = server.lifecycle.clone();
    let waiting = tokio::spawn({
        let lifecycle = lifecycle.clone();
        async move { lifecycle.acquire(&name("b"), AcquireOptions::within(PATIENCE)).await.map(drop) }
    });
    time::sleep(Duration::from_secs(1)).await;
    let stopping = tokio::spawn(async move { lifecycle.shutdown().await });
    assert_eq!(waiting.await.unwrap(), Err(Unavailable::Stopping));
    assert!(matches!(server.acquire("a").await, Err(Unavailable::Stopping)));
    assert!(server.lifecycle.snapshot().stopping);
    time::sleep(Duration::from_secs(30)).await;
    assert!(!stopping.is_finished());
    drop(lease);
    time::timeout(PATIENCE, stopping).await.expect("an end").unwrap();
    time::timeout(PATIENCE, server.driver).await.expect("an end").unwrap();
    assert_eq!(server.fake.0.lock().resident, 0);
    assert!(matches!(
        server.lifecycle.acquire(&name("a"), AcquireOptions::within(PATIENCE)).await,
        Err(Unavailable::Stopping)
    ));
}

#[tokio::test(start_paused = true)]
async fn shutdown_in_the_middle_of_a_load_unloads_what_arrives() {
    let server = Server::start(config(), &["a", "b"]);
    let asked = server.lifecycle.prepare(&[name("a")], Target::Ready, Some(FETCH + LOAD / 2)).await;
    assert_eq!(asked[0].1.as_ref().unwrap().status, Status::Loading);
    server.lifecycle.shutdown().await;
    assert_eq!(server.fake.happened(), ["fetch a", "load a", "unload a", "free a"]);
}

#[tokio::test(start_paused = true)]
async fn when_the_last_handle_goes_everything_is_unloaded() {
    let Server { lifecycle, driver, fake, .. } = Server::start(config(), &["a"]);
    drop(lifecycle.acquire(&name("a"), AcquireOptions::within(PATIENCE)).await.unwrap());
    drop(lifecycle);
    time::timeout(PATIENCE, driver).await.expect("an end").unwrap();
    assert_eq!(fake.0.lock().resident, 0);
}
