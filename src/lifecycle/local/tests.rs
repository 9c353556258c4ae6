//! The whole way from a folder to an answer: a real store, real threads, and a family that does as it is told.

use std::{path::Path, sync::Arc, time::Duration};

use candle_core::Device;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::{
    audio::Pcm,
    lifecycle::{
        AcquireOptions, Budget, Config, Lifecycle, LoadMode, Metrics, OnPreloadFailure, Status, Tier, Unavailable,
    },
    model::{
        Backing, Batch, Broken, DTypeChoice, DeviceChoice, DeviceId, LoadError, Model, PlacementOverrides, Preset,
        ReferenceCacheConfig, Request, RequestError, request,
    },
    remote::{Buckets, BucketsConfig},
    runtime::{DeviceMemory, Devices, Host, Installed, PlacementError},
    speech::{Fault, ModelName, Summary, TaskKind, Transcribe, TranscribeOptions, TranscriptEvent},
};

const PATIENCE: Duration = Duration::from_secs(20);
const FAMILIES: &[&dyn Family] = &[&Parrot];

/// Says nothing, but does what the prompt says.
struct Parrot;

struct Loaded;

impl Family for Parrot {
    fn name(&self) -> &'static str {
        "parrot"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Transcribe]
    }

    fn presets(&self) -> &'static [Preset] {
        &[]
    }

    fn recognises(&self, config: &serde_json::Value) -> bool {
        config["model_type"] == "parrot"
    }

    fn files(&self, _part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        let weights = listing.iter().find(|file| *file == "weights").ok_or(LoadError::Missing("weights".to_owned()))?;
        Ok(vec!["config.json".to_owned(), weights.clone()])
    }

    fn footprint(&self, files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
        files.size("model", "weights")
    }

    fn load(&self, files: &ModelFiles, _place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        match &*files.open("model", "weights")? {
            b"good" => Ok(Box::new(Loaded)),
            _ => Err(LoadError::Malformed { file: "weights".to_owned(), reason: "not good".to_owned() }),
        }
    }
}

impl Model for Loaded {
    fn transcribe(&mut self, jobs: &mut Batch<'_, Transcribe>) -> Result<(), Broken> {
        while let Some(job) = jobs.admit(1).pop() {
            match job.ask().options.prompt.as_deref() {
                Some("panic") => panic!("as the prompt says"),
                Some("hang") => hang(&job),
                _ => {}
            }
            job.finish(TranscriptEvent::Done(Summary { language: "en".to_owned(), duration: 0.0, tokens: 0 }));
        }
        Ok(())
    }
}

/// Until the caller leaves.
#[expect(clippy::disallowed_methods, reason = "a model thread that hangs is what is tested")]
fn hang(job: &Request<Transcribe>) {
    while job.over().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn server(specs: Vec<ModelSpec>) -> (Lifecycle, TempDir) {
    server_on(Arc::new(Installed::new(Host::here())), specs)
}

fn server_on(devices: Arc<dyn Devices>, specs: Vec<ModelSpec>) -> (Lifecycle, TempDir) {
    let registry = prometheus::Registry::new();
    let cache = TempDir::new().unwrap();
    let store = store::Config {
        accepted_licences: Vec::new(),
        cache_dir: cache.path().to_owned(),
        read_only: Vec::new(),
        other_caches: Vec::new(),
        own_caches: Default::default(),
        quota: None,
        endpoints: vec!["http://127.0.0.1:1".into()],
        token: None,
        offline: true,
        idle_timeout: Duration::from_secs(1),
        min_rate: 0,
        attempts: 1,
        connections: 4,
        xet: true,
        xet_cache: 0,
        reserve: 0,
        keep_derived: true,
        verify: store::Verify::Fetch,
    };
    let store = Store::new(store, Buckets::new(BucketsConfig::default()), &[], &registry).unwrap();
    let runtime = runtime::Config {
        queue: 8,
        max_batch: 1,
        threads: Some(1),
        device: DeviceChoice::Only(DeviceId::Cpu),
        require_gpu: false,
        dtype: DTypeChoice::Auto,
        cpu_kernels: Default::default(),
        weights: Some(Backing::Mapped),
        max_failures: 5,
        reserve: 0,
        leak_threshold: 1 << 30,
        references: ReferenceCacheConfig { memory: 0, folder: None, disk: 0 },
        programs: Default::default(),
        vllm_metric: false,
    };
    let (placer, scale) = (Arc::new(Placer::new(&runtime, devices.clone()).unwrap()), Scale::new(devices));
    let executors = runtime::Metrics::register(&registry, &runtime).unwrap();
    let backend = Local::new(store, runtime, executors, placer, scale);
    let config = Config {
        max_waiters: 100,
        mode: LoadMode::OnDemand,
        max_resident: None,
        memory_budget: Budget { each: None, of: [("cuda:0".to_owned(), 4)].into() },
        memory_warm: 1 << 20,
        idle_ttl: None,
        room_patience: Duration::from_secs(1),
        retry_base: Duration::from_millis(10),
        retry_max: Duration::from_secs(1),
        on_preload_failure: OnPreloadFailure::Retry,
    };
    (Lifecycle::start(config, specs, backend, Metrics::register(&registry).unwrap()).0, cache)
}

fn folder(config: &str, weights: &[u8]) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    std::fs::write(folder.path().join("weights"), weights).unwrap();
    folder
}

fn parrot() -> TempDir {
    folder(r#"{"model_type":"parrot"}"#, b"good")
}

fn spec(name: &str, folder: &Path) -> ModelSpec {
    ModelSpec {
        name: ModelName::known(name),
        families: FamilyChoice::Among(FAMILIES),
        parts: vec![("model".to_owned(), Source::Folder(folder.to_owned()))],
        preload: false,
        pinned: false,
        idle_ttl: None,
        overrides: PlacementOverrides::default(),
    }
}

async fn refused(config: &str, weights: &[u8]) -> Unavailable {
    let folder = folder(config, weights);
    let (lifecycle, _cache) = server(vec![spec("a", folder.path())]);
    lifecycle.acquire(&ModelName::known("a"), AcquireOptions::within(PATIENCE)).await.expect_err("a refusal")
}

async fn say(lifecycle: &Lifecycle, model: &str, prompt: &str) -> Result<TranscriptEvent, RequestError> {
    let lease = lifecycle.acquire(&ModelName::known(model), AcquireOptions::within(PATIENCE)).await.expect("a lease");
    let ask = Transcribe {
        audio: Pcm::new(vec![0.0; 16], 16_000),
        options: TranscribeOptions { prompt: Some(prompt.to_owned()), ..TranscribeOptions::default() },
    };
    let (job, mut answers) = request("test".to_owned(), ask, None);
    lease.submit(job).expect("room in the queue");
    answers.next().await.expect("an answer")
}

#[tokio::test]
async fn a_folder_becomes_a_model_that_answers_and_goes() {
    let folder = parrot();
    let (lifecycle, _cache) = server(vec![spec("a", folder.path())]);
    assert!(matches!(say(&lifecycle, "a", "").await, Ok(TranscriptEvent::Done(_))));
    let snapshot = lifecycle.snapshot();
    let status = &snapshot.models[0];
    assert_eq!(
        (status.status, status.device.as_deref(), status.dtype.as_deref()),
        (Status::Ready, Some("cpu"), Some("f32"))
    );
    assert_eq!(status.footprint_bytes, Some(4));
    lifecycle.shutdown().await;
    assert_eq!(lifecycle.snapshot().models[0].status, Status::NotLoaded);
}

#[tokio::test]
async fn a_model_that_wishes_for_a_device_that_is_not_there_is_refused_and_goes_nowhere_else() {
    let folder = parrot();
    let overrides =
        PlacementOverrides { device: Some(DeviceChoice::Only(DeviceId::Cuda(7))), ..PlacementOverrides::default() };
    let (lifecycle, _cache) = server(vec![ModelSpec { overrides, ..spec("a", folder.path()) }]);
    let refusal =
        lifecycle.acquire(&ModelName::known("a"), AcquireOptions::within(PATIENCE)).await.expect_err("a refusal");
    assert!(refusal.to_string().contains("cuda:7"), "{refusal}");
    let snapshot = lifecycle.snapshot();
    assert_eq!(snapshot.models[0].error.as_ref().unwrap().obstacle, Some(Obstacle::Unsupported));
}

/// What has to be fetched from nowhere is asked for after the device.
#[tokio::test]
async fn nothing_is_fetched_for_a_device_that_does_not_answer() {
    let overrides =
        PlacementOverrides { device: Some(DeviceChoice::Only(DeviceId::Cuda(7))), ..PlacementOverrides::default() };
    let parts = vec![("model".to_owned(), Source::hub("acme/parrot", None).unwrap())];
    let families = FamilyChoice::Known(&Parrot);
    let elsewhere = ModelSpec { families, parts, ..spec("a", Path::new("/")) };
    for (overrides, said) in [(overrides, "cuda:7"), (PlacementOverrides::default(), "acme/parrot")] {
        let (lifecycle, _cache) = server(vec![ModelSpec { overrides, ..elsewhere.clone() }]);
        let refusal = lifecycle.acquire(&ModelName::known("a"), AcquireOptions::within(PATIENCE)).await;
        let refusal = refusal.expect_err("a refusal").to_string();
        assert!(refusal.contains(said), "{refusal}");
    }
}

/// A machine whose accelerator opens when it is told to.
struct Sluggish {
    entered: Notify,
    gate: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Devices for Sluggish {
    fn accelerators(&self) -> Vec<DeviceId> {
        Vec::new()
    }

    fn open(&self, device: DeviceId) -> Result<Device, PlacementError> {
        if device.is_accelerator() {
            self.entered.notify_one();
            let opened = self.gate.lock().recv_timeout(PATIENCE);
            opened.map_err(|_| PlacementError::NotThere { device, reason: "it slept".to_owned() })?;
        }
        Ok(Device::Cpu)
    }

    fn memory(&self, _device: DeviceId) -> Option<DeviceMemory> {
        None
    }
}

/// All of the lifecycle is on one thread here.
#[tokio::test]
async fn a_device_that_takes_its_time_holds_no_other_model_up() {
    let (folder, (open, gate)) = (parrot(), std::sync::mpsc::sync_channel(1));
    let devices = Arc::new(Sluggish { entered: Notify::new(), gate: Mutex::new(gate) });
    let overrides =
        PlacementOverrides { device: Some(DeviceChoice::Only(DeviceId::Cuda(0))), ..PlacementOverrides::default() };
    let slow = ModelSpec { overrides, ..spec("slow", folder.path()) };
    let (lifecycle, _cache) = server_on(devices.clone(), vec![slow, spec("other", folder.path())]);
    let waiting = tokio::spawn({
        let lifecycle = lifecycle.clone();
        async move { lifecycle.acquire(&ModelName::known("slow"), AcquireOptions::within(PATIENCE)).await.is_ok() }
    });
    devices.entered.notified().await;
    assert!(say(&lifecycle, "other", "").await.is_ok());
    open.send(()).unwrap();
    assert!(waiting.await.unwrap());
}

/// A machine with an accelerator that has room for one model, and so many free bytes of main memory.
struct Narrow {
    free: u64,
}

impl Devices for Narrow {
    fn accelerators(&self) -> Vec<DeviceId> {
        vec![DeviceId::Cuda(0)]
    }

    fn open(&self, _device: DeviceId) -> Result<Device, PlacementError> {
        Ok(Device::Cpu)
    }

    fn memory(&self, device: DeviceId) -> Option<DeviceMemory> {
        Some(DeviceMemory { free: if device.is_accelerator() { 4 } else { self.free }, total: 1 << 30 })
    }
}

/// Says what each load reads: nothing, once what is on the disk is another model's.
#[tokio::test]
async fn a_model_that_made_room_comes_back_without_its_files() {
    let overrides =
        PlacementOverrides { device: Some(DeviceChoice::Only(DeviceId::Cuda(0))), ..PlacementOverrides::default() };
    let tier = |lifecycle: &Lifecycle| lifecycle.snapshot().models[0].tier;
    for (free, held) in [(1 << 20, Tier::Host), (20, Tier::Disk)] {
        let (folder, other) = (parrot(), parrot());
        let on_card =
            |name: &str, folder: &TempDir| ModelSpec { overrides: overrides.clone(), ..spec(name, folder.path()) };
        let specs = vec![on_card("a", &folder), on_card("b", &other)];
        let (lifecycle, _cache) = server_on(Arc::new(Narrow { free }), specs);
        assert!(say(&lifecycle, "a", "").await.is_ok());
        assert_eq!(tier(&lifecycle), Some(Tier::Device));
        assert!(say(&lifecycle, "b", "").await.is_ok());
        if held == Tier::Host {
            lifecycle.watch().wait_for(|snapshot| snapshot.models[0].tier == Some(held)).await.unwrap();
        }
        assert_eq!(tier(&lifecycle), Some(held));
        std::fs::remove_file(folder.path().join("weights")).unwrap();
        std::fs::remove_file(folder.path().join("config.json")).unwrap();
        let back = lifecycle.acquire(&ModelName::known("a"), AcquireOptions::within(PATIENCE)).await;
        assert_eq!(back.is_ok(), held == Tier::Host, "{free} bytes were free");
    }
}

#[tokio::test]
async fn a_panic_in_a_model_is_contained_and_the_model_comes_back() {
    let folder = parrot();
    let (lifecycle, _cache) = server(vec![spec("a", folder.path()), spec("b", folder.path())]);
    assert!(say(&lifecycle, "b", "").await.is_ok());
    assert_eq!(say(&lifecycle, "a", "panic").await.unwrap_err(), RequestError::Broken);
    assert!(say(&lifecycle, "b", "").await.is_ok(), "the other does not notice");

    let mut watch = lifecycle.watch();
    watch.wait_for(|snapshot| snapshot.models[0].status == Status::Failed).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(say(&lifecycle, "a", "").await.is_ok());
}

#[tokio::test]
async fn a_model_that_hangs_is_named_and_freed_when_its_caller_leaves() {
    let folder = parrot();
    let (lifecycle, _cache) = server(vec![spec("a", folder.path())]);
    assert!(say(&lifecycle, "a", "").await.is_ok());
    let lifecycle = Arc::new(lifecycle);
    let hanging = tokio::spawn({
        let lifecycle = lifecycle.clone();
        async move { say(&lifecycle, "a", "hang").await.map(drop) }
    });
    let limit = Duration::from_millis(30);
    let stalled = async {
        while lifecycle.stalled(limit).is_none() {
            tokio::time::sleep(limit / 10).await;
        }
    };
    tokio::time::timeout(PATIENCE, stalled).await.expect("a stall");
    assert_eq!(lifecycle.stalled(limit), Some(ModelName::known("a")));
    hanging.abort();
    assert!(say(&lifecycle, "a", "").await.is_ok(), "the caller left, and the model goes on");
    lifecycle.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_a_model_is_refused_for_good_and_named() {
    // What it is, and that this build has no family for it.
    let foreign = refused(r#"{"model_type":"bert"}"#, b"good").await;
    assert!(foreign.permanent() && foreign.to_string().contains("\"bert\""), "{foreign}");
    let corrupt = refused("not json", b"good").await;
    assert!(corrupt.permanent() && corrupt.to_string().contains("config.json is not JSON"), "{corrupt}");
    let weights = refused(r#"{"model_type":"parrot"}"#, b"bad").await;
    assert!(weights.permanent() && weights.to_string().contains("weights is not what it should be"), "{weights}");
}

#[test]
fn rate_and_remaining_time_are_of_what_came_over_the_network() {
    let meter = Meter::default();
    let now = Instant::now();
    let at = |bytes_done| store::Progress {
        phase: Phase::Downloading,
        bytes_done,
        bytes_here: 400,
        bytes_total: 1000,
        ..Default::default()
    };
    assert_eq!(meter.read(&at(400), now).eta_seconds, None, "nothing is known yet");
    let later = meter.read(&at(700), now + Duration::from_secs(3));
    assert_eq!((later.bytes_per_second, later.eta_seconds), (Some(100.0), Some(3.0)));
    assert_eq!(meter.downloaded(), 300);
    // To find out what it is took one download, and to have it takes another.
    meter.read(&store::Progress::default(), now + Duration::from_secs(4));
    let next = meter.read(&at(500), now + Duration::from_secs(4));
    assert_eq!((next.bytes_per_second, meter.downloaded()), (None, 400));
}
