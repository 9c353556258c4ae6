//! The store against a hub that is broken on purpose.

mod chunks;
mod elsewhere;
mod lookup;
#[path = "../../tests/support/hub.rs"]
mod server;

mod faults;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use prometheus::Registry;
use server::{Hub, git, sha256};
use tempfile::TempDir;

use super::{cached_repo::CachedRepo, *};
use crate::{
    model::{LoadError, Location},
    remote::{Buckets, BucketsConfig},
    speech::Fault,
};

const WEIGHTS: &str = "model.safetensors";
const EMBEDDED: &[EmbeddedModel] = &[EmbeddedModel { name: "nano", files: &[("config.json", b"{}")] }];

/// A hub with one repository, and a cache that is empty at first.
struct Bench {
    hub: Hub,
    commit: String,
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let hub = Hub::start();
        let repo =
            hub.repo("acme/tiny").file("config.json", "{\"a\":1}").lfs(WEIGHTS, weights()).file("README.md", "no");
        let commit = repo.commit();
        Self { hub, commit, dir: TempDir::new().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("hub")
    }

    fn repo(&self) -> PathBuf {
        self.cache().join("models--acme--tiny")
    }

    fn config(&self) -> Config {
        config(self.cache(), &self.hub.url())
    }

    fn store(&self) -> Store {
        store(self.config())
    }

    fn offline(&self) -> Store {
        store(Config { offline: true, ..self.config() })
    }

    fn branch(&self) -> Vec<(String, Source)> {
        part("hf://acme/tiny")
    }

    fn pinned(&self) -> Vec<(String, Source)> {
        part(&format!("hf://acme/tiny@{}", self.commit))
    }

    /// Temporary files of writers.
    fn leftovers(&self) -> usize {
        let blobs = fs::read_dir(self.repo().join("blobs")).into_iter().flatten().flatten();
        blobs.filter(|entry| entry.path().extension().is_some()).count()
    }

    /// A writer that is told to stop removes its file on a thread of its own.
    async fn assert_clean(&self) {
        let clean = async {
            while self.leftovers() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), clean).await.expect("temporary files are removed");
    }

    /// As the Python tools leave it: no manifest.
    fn python_cache(&self, cache: &Path) {
        let dir = layout::RepoDir::new(cache, &repo());
        for (file, bytes, blob) in
            [("config.json", b"{\"a\":1}".to_vec(), git(b"{\"a\":1}")), (WEIGHTS, weights(), sha256(&weights()))]
        {
            files::write_whole(&dir.blob(&blob), &bytes).unwrap();
            dir.link(&self.commit, file, &blob).unwrap();
        }
        dir.write_ref("main", &self.commit).unwrap();
    }
}

fn config(cache_dir: PathBuf, endpoint: &str) -> Config {
    Config {
        cache_dir,
        read_only: Vec::new(),
        other_caches: Vec::new(),
        own_caches: Default::default(),
        quota: None,
        endpoints: vec![endpoint.into()],
        token: None,
        offline: false,
        idle_timeout: Duration::from_secs(10),
        min_rate: 0,
        attempts: 4,
        connections: 8,
        xet: true,
        xet_cache: 0,
        reserve: 0,
        keep_derived: true,
        accepted_licences: Vec::new(),
        verify: Verify::Fetch,
    }
}

/// With so little patience that a test does not notice it.
fn store(config: Config) -> Store {
    store_with(config, Buckets::new(BucketsConfig::default()))
}

fn store_with(config: Config, buckets: Buckets) -> Store {
    let mut store = Store::new(config, buckets, EMBEDDED, &Registry::new()).unwrap();
    Arc::get_mut(&mut store.0).unwrap().limits.retry_policy.base = Duration::from_millis(2);
    store
}

fn repo() -> CachedRepo {
    CachedRepo::of(&"hf://acme/tiny".parse().unwrap()).unwrap()
}

fn part(source: &str) -> Vec<(String, Source)> {
    vec![("model".to_owned(), source.parse().unwrap())]
}

fn weights() -> Vec<u8> {
    (0..300_000u32).map(|i| (i % 251) as u8).collect()
}

/// What a family would say.
fn choose(_: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
    let need = ["config.json", WEIGHTS];
    match need.iter().find(|file| !listing.iter().any(|known| known == *file)) {
        Some(file) => Err(LoadError::Missing((*file).to_owned())),
        None => Ok(need.map(str::to_owned).to_vec()),
    }
}

async fn fetch(store: &Store, parts: &[(String, Source)]) -> Result<Fetched, StoreError> {
    store.fetch(parts, &choose, &|_| {}).await
}

fn assert_whole(fetched: &Fetched) {
    assert_eq!(&*fetched.files.open("model", WEIGHTS).unwrap(), weights());
    assert_eq!(&*fetched.files.open("model", "config.json").unwrap(), b"{\"a\":1}");
    assert_eq!(fetched.files.names("model").count(), 2);
    assert_eq!(fetched.bytes, 300_007);
}

#[tokio::test]
async fn files_arrive_verified_in_the_layout_of_the_hub() {
    let bench = Bench::new();
    let seen = Mutex::new(Vec::new());
    let fetched = bench.store().fetch(&bench.branch(), &choose, &|progress| seen.lock().unwrap().push(progress)).await;
    let fetched = fetched.unwrap();
    assert_whole(&fetched);
    let provenance = &fetched.parts["model"];
    assert_eq!((provenance.commit.as_ref(), provenance.from), (Some(&bench.commit), FileOrigin::Network));
    assert_eq!(fs::read_to_string(bench.repo().join("refs/main")).unwrap(), bench.commit);
    let link = fs::read_link(bench.repo().join("snapshots").join(&bench.commit).join(WEIGHTS)).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(sha256(&weights())));
    assert_eq!(bench.hub.downloads("README.md"), 0, "only what is needed");
    assert_eq!((bench.hub.downloads(WEIGHTS), bench.leftovers()), (1, 0));
    let seen = seen.into_inner().unwrap();
    assert_eq!((seen[1].bytes_done, seen[1].bytes_total, seen[1].files_total), (0, 300_007, 2));
    let last = seen.last().unwrap();
    assert_eq!((last.bytes_done, last.files_done), (300_007, 2));
    let mut phases: Vec<&str> = seen.iter().map(|progress| progress.phase.as_str()).collect();
    phases.dedup();
    assert_eq!(phases, ["resolving", "checking", "downloading", "verifying", "publishing"]);
}

#[tokio::test]
async fn what_is_here_is_not_asked_for_again() {
    let bench = Bench::new();
    fetch(&bench.store(), &bench.branch()).await.unwrap();
    let before = bench.hub.requests();
    assert_whole(&fetch(&bench.store(), &bench.pinned()).await.unwrap());
    assert_whole(&fetch(&bench.offline(), &bench.branch()).await.unwrap());
    assert_whole(&bench.store().local(&bench.branch(), &choose).unwrap().unwrap());
    assert_eq!(bench.hub.requests(), before, "no network for a commit, offline, or a look at the disk");
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
    assert_eq!(bench.hub.requests(), before + 1, "one small call for a branch");
}

#[tokio::test]
async fn a_hub_that_is_down_does_no_harm_when_all_is_here() {
    let bench = Bench::new();
    fetch(&bench.store(), &bench.branch()).await.unwrap();
    bench.hub.fail_next(100, 503, Some(30));
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
}

#[tokio::test]
async fn a_branch_that_moved_brings_only_what_changed() {
    let bench = Bench::new();
    let old = fetch(&bench.store(), &bench.branch()).await.unwrap();
    bench.hub.repo("acme/tiny").file("config.json", "{\"a\":2}");
    let new = fetch(&bench.store(), &bench.branch()).await.unwrap();
    assert_ne!(old.parts, new.parts);
    assert_eq!(&*new.files.open("model", "config.json").unwrap(), b"{\"a\":2}");
    assert_eq!(&*old.files.open("model", "config.json").unwrap(), b"{\"a\":1}", "the old one stays");
    assert_eq!((bench.hub.downloads(WEIGHTS), bench.hub.downloads("config.json")), (1, 2));
}

#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_ended() {
    let bench = Bench::new();
    let store = bench.store();
    bench.hub.truncate_next(100_000);
    let only_weights = |_: &str, _: &[String]| Ok(vec![WEIGHTS.to_owned()]);
    store.fetch(&bench.branch(), &only_weights, &|_| {}).await.unwrap();
    assert_eq!(bench.hub.downloads(WEIGHTS), 2);
    let bytes = store.0.metrics.bytes.with_label_values(&["hf"]).get();
    assert_eq!(bytes, 300_000, "no byte came twice");
}

#[tokio::test]
async fn a_server_without_ranges_is_survived() {
    let bench = Bench::new();
    bench.hub.without_ranges();
    bench.hub.truncate_next(100_000);
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
    bench.assert_clean().await;
}

#[tokio::test]
async fn wrong_bytes_are_fetched_once_more_and_then_refused() {
    let bench = Bench::new();
    bench.hub.corrupt(1);
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());

    let bench = Bench::new();
    bench.hub.corrupt(100);
    let error = fetch(&bench.store(), &bench.branch()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("arrived twice and was wrong both times"), "{error}");
    assert!(bench.store().local(&bench.branch(), &choose).unwrap().is_none());
    assert!(fs::read_dir(bench.repo().join(".sconce/quarantine")).unwrap().count() > 0, "kept for who wants to look");
    bench.hub.corrupt(0);
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
    bench.assert_clean().await;
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    for path in ["/resolve/", "/storage/"] {
        let bench = Bench::new();
        bench.hub.fail_on(path, 1, 429, Some(1));
        let start = Instant::now();
        assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
        assert!(start.elapsed() >= Duration::from_secs(1), "{path}");
    }
}

#[tokio::test]
async fn a_hub_that_stays_down_is_a_passing_trouble_that_says_so() {
    let bench = Bench::new();
    bench.hub.fail_next(1000, 503, None);
    let error = fetch(&bench.store(), &bench.branch()).await.unwrap_err();
    assert!(!error.permanent() && error.to_string().contains("answers 503"), "{error}");
    assert_eq!(bench.hub.requests(), 4, "as many tries as configured");
    bench.hub.heal();
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());

    let nowhere = store(Config { endpoints: vec!["http://127.0.0.1:1".into()], ..bench.config() });
    let error = fetch(&nowhere, &part("hf://acme/other")).await.unwrap_err();
    assert!(!error.permanent() && error.to_string().contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_left_to_the_caller() {
    let bench = Bench::new();
    bench.hub.fail_on("/resolve/", 1, 429, Some(600));
    let error = fetch(&bench.store(), &bench.branch()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn a_transfer_that_stalls_is_broken_off() {
    let bench = Bench::new();
    bench.hub.stall();
    let store = store(Config { idle_timeout: Duration::from_millis(200), attempts: 2, ..bench.config() });
    let error = fetch(&store, &bench.branch()).await.unwrap_err();
    assert!(!error.permanent() && error.to_string().contains("sent nothing for 0.2 s"), "{error}");
    bench.hub.release();
    assert_whole(&fetch(&store, &bench.branch()).await.unwrap());
}

#[tokio::test]
async fn a_gate_says_what_to_do() {
    let bench = Bench::new();
    bench.hub.gate("hf_good");
    let error = fetch(&bench.store(), &bench.branch()).await.unwrap_err();
    assert!(error.permanent() && error.to_string().contains("HF_TOKEN"), "{error}");
    let with = |token: &str| store(Config { token: Some(Secret(token.into())), ..bench.config() });
    let error = fetch(&with("hf_bad"), &bench.branch()).await.unwrap_err();
    assert!(error.to_string().contains("accept its licence at http://"), "{error}");
    assert!(!error.to_string().contains("hf_bad"), "{error}");
    assert_whole(&fetch(&with("hf_good"), &bench.branch()).await.unwrap());
}

#[tokio::test]
async fn what_the_hub_does_not_have_is_named() {
    let bench = Bench::new();
    for source in ["hf://acme/none", "hf://acme/tiny@nightly"] {
        let error = fetch(&bench.store(), &part(source)).await.unwrap_err();
        assert!(error.permanent() && error.to_string().contains(source), "{error}");
    }
    let error = bench.store().peek(&bench.branch()[0].1, "none.json", &|_| {}).await.unwrap_err();
    assert!(matches!(error, StoreError::NoFile { .. }), "{error}");
    bench.hub.repo("acme/odd").file("config.json", "{}");
    let error = fetch(&bench.store(), &part("hf://acme/odd")).await.unwrap_err();
    assert!(error.permanent() && error.to_string().contains("model.safetensors is missing"), "{error}");
}

#[tokio::test]
async fn offline_says_what_is_missing() {
    let bench = Bench::new();
    let error = fetch(&bench.offline(), &bench.branch()).await.unwrap_err();
    assert!(error.permanent() && error.to_string().starts_with("a complete copy of hf://acme/tiny@main"), "{error}");
    bench.store().peek(&bench.branch()[0].1, "config.json", &|_| {}).await.unwrap();
    let error = fetch(&bench.offline(), &bench.branch()).await.unwrap_err();
    assert!(error.to_string().starts_with("model.safetensors of hf://acme/tiny@main"), "{error}");
}

#[tokio::test]
async fn a_cache_of_the_python_tools_is_read_in_repo() {
    let bench = Bench::new();
    bench.python_cache(&bench.cache());
    assert_whole(&fetch(&bench.offline(), &bench.branch()).await.unwrap());
    assert_whole(&fetch(&bench.store(), &bench.pinned()).await.unwrap());
    assert_eq!(bench.hub.requests(), 0);
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
    assert_eq!(bench.hub.requests(), 1);
    let reports = bench.store().verify(&bench.branch()[0].1).await.unwrap();
    assert!(reports.len() == 2 && reports.iter().all(|report| report.state == FileState::Whole), "{reports:?}");
}

#[tokio::test]
async fn part_of_a_python_cache_is_completed_and_damage_in_it_repaired() {
    let bench = Bench::new();
    bench.python_cache(&bench.cache());
    fs::remove_file(bench.repo().join("snapshots").join(&bench.commit).join(WEIGHTS)).unwrap();
    fs::write(bench.repo().join("blobs").join(sha256(&weights())), vec![0; 300_000]).unwrap();
    assert_whole(&fetch(&bench.store(), &bench.pinned()).await.unwrap());
    assert_eq!((bench.hub.downloads(WEIGHTS), bench.hub.downloads("config.json")), (1, 0));
}

#[tokio::test]
async fn read_only_caches_come_first() {
    let bench = Bench::new();
    let volume = TempDir::new().unwrap();
    bench.python_cache(volume.path());
    let store = store(Config { read_only: vec![volume.path().to_owned()], ..bench.config() });
    let fetched = fetch(&store, &bench.branch()).await.unwrap();
    assert_whole(&fetched);
    let inside = |location: &Location| matches!(location, Location::Disk(path) if path.starts_with(volume.path()));
    assert!(fetched.files.iter().all(|(_, _, location)| inside(location)));
    assert_eq!(bench.hub.requests(), 1);
    assert_eq!(store.peek(&bench.branch()[0].1, "config.json", &|_| {}).await.unwrap(), b"{\"a\":1}");
}

#[tokio::test]
async fn a_fetch_that_is_dropped_leaves_nothing_half() {
    let bench = Bench::new();
    let store = bench.store();
    bench.hub.stall();
    let (first, parts) = (store.clone(), bench.branch());
    let running = tokio::spawn(async move { fetch(&first, &parts).await.map(drop) });
    while store.0.metrics.bytes.with_label_values(&["hf"]).get() < 100_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(bench.leftovers() > 0);
    running.abort();
    running.await.unwrap_err();
    assert!(store.local(&bench.branch(), &choose).unwrap().is_none());
    bench.hub.release();
    assert_whole(&fetch(&store, &bench.branch()).await.unwrap());
    bench.assert_clean().await;
    let outcomes = |outcome| store.0.metrics.downloads.with_label_values(&[outcome]).get();
    assert_eq!((outcomes("cancelled"), outcomes("ok")), (1, 1));
}

#[tokio::test]
async fn a_file_without_its_entry_is_not_there() {
    let bench = Bench::new();
    fetch(&bench.store(), &bench.branch()).await.unwrap();
    let path = bench.repo().join(".sconce").join(format!("{}.json", bench.commit));
    let mut manifest = manifest::Manifest::read(&path).unwrap();
    manifest.files.remove(WEIGHTS);
    manifest.write(&path).unwrap();
    let snapshot = bench.repo().join("snapshots").join(&bench.commit).join(WEIGHTS);
    fs::remove_file(&snapshot).unwrap();
    fs::write(&snapshot, "half").unwrap();
    assert!(bench.store().local(&bench.branch(), &choose).unwrap().is_none());
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
    assert_eq!(bench.hub.downloads(WEIGHTS), 1, "the blob was still there and right");
}

#[tokio::test]
async fn what_dead_writers_left_is_removed() {
    let bench = Bench::new();
    let dir = layout::RepoDir::new(&bench.cache(), &repo());
    fs::create_dir_all(dir.blobs()).unwrap();
    let left = |name: &str| {
        let path = dir.blob(name);
        fs::write(&path, "half").unwrap();
        path
    };
    let (old, young) = (left("abc.1.part"), left("def.2.part"));
    let past = SystemTime::now() - Duration::from_secs(8 * 24 * 60 * 60);
    fs::File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
    fetch(&bench.store(), &bench.branch()).await.unwrap();
    assert!(!old.exists() && young.exists(), "somebody may still want to go on with the young one");
}

#[tokio::test]
async fn two_fetches_of_one_repository_download_once() {
    let bench = Bench::new();
    bench.hub.delay(Duration::from_millis(20));
    let store = bench.store();
    let runs = (0..8).map(|_| {
        let (store, parts) = (store.clone(), bench.branch());
        tokio::spawn(async move { fetch(&store, &parts).await })
    });
    for run in futures::future::join_all(runs).await {
        assert_whole(&run.unwrap().unwrap());
    }
    assert_eq!((bench.hub.downloads(WEIGHTS), bench.hub.downloads("config.json")), (1, 1));

    // Two processes share nothing but the folder.
    let bench = Bench::new();
    let (one, other) = (bench.store(), bench.store());
    let parts = bench.branch();
    let (one, other) = tokio::join!(fetch(&one, &parts), fetch(&other, &parts));
    assert_whole(&one.unwrap());
    assert_whole(&other.unwrap());
    assert_eq!((bench.hub.downloads(WEIGHTS), bench.hub.downloads("config.json")), (1, 1));
    bench.assert_clean().await;
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    fs::write(bench.dir.path().join("hub"), "a file where a folder should be").unwrap();
    let error = fetch(&bench.store(), &bench.branch()).await.unwrap_err();
    assert!(matches!(error, StoreError::Cache(_)) && !error.permanent(), "{error}");
    assert!(error.to_string().contains("HF_HUB_CACHE"), "{error}");
    assert!(!error.to_string().contains(bench.dir.path().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_listing_that_leaves_its_folder_is_refused() {
    let bench = Bench::new();
    bench.hub.repo("acme/evil").file("config.json", "{}").lfs(WEIGHTS, "x").file("../../evil", "x");
    let error = fetch(&bench.store(), &part("hf://acme/evil")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unsafe { file, .. } if file == "../../evil"), "{error}");
    assert!(error.permanent() && !bench.cache().exists());
}

#[tokio::test]
async fn one_file_can_be_looked_at_alone() {
    let bench = Bench::new();
    let (store, source) = (bench.store(), bench.branch()[0].1.clone());
    assert_eq!(store.peek(&source, "config.json", &|_| {}).await.unwrap(), b"{\"a\":1}");
    let before = bench.hub.requests();
    assert_eq!(bench.offline().peek(&source, "config.json", &|_| {}).await.unwrap(), b"{\"a\":1}");
    assert_eq!((bench.hub.requests(), bench.hub.downloads(WEIGHTS)), (before, 0));
    assert!(store.local(&bench.branch(), &choose).unwrap().is_none());
    assert_whole(&fetch(&store, &bench.branch()).await.unwrap());
    assert_eq!(bench.hub.downloads("config.json"), 1);
}

#[tokio::test]
async fn a_folder_is_read_in_repo() {
    let bench = Bench::new();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("config.json"), "{\"a\":1}").unwrap();
    let parts = vec![("model".to_owned(), Source::Folder(folder.path().to_owned()))];
    let error = fetch(&bench.store(), &parts).await.unwrap_err();
    assert!(error.to_string().contains("model.safetensors is missing"), "{error}");
    fs::write(folder.path().join(WEIGHTS), weights()).unwrap();
    assert_whole(&fetch(&bench.store(), &parts).await.unwrap());
    assert_whole(&bench.store().local(&parts, &choose).unwrap().unwrap());
    let gone = vec![("model".to_owned(), "file:/no/such/folder".parse().unwrap())];
    let error = fetch(&bench.store(), &gone).await.unwrap_err();
    assert!(error.to_string().contains("the folder /no/such/folder cannot be read"), "{error}");
    assert!(!error.permanent(), "a volume may be mounted late");
    let file = vec![("model".to_owned(), Source::Folder(folder.path().join(WEIGHTS)))];
    let error = fetch(&bench.store(), &file).await.unwrap_err();
    assert!(error.to_string().contains("is a file, where a folder"), "{error}");
    assert!(error.permanent(), "it becomes none by waiting");
    assert_eq!((bench.hub.requests(), bench.cache().exists()), (0, false));
}

#[tokio::test]
async fn an_embedded_model_is_there() {
    let bench = Bench::new();
    let config = |_: &str, listing: &[String]| Ok(listing.to_vec());
    let fetched = bench.store().fetch(&part("embedded:nano"), &config, &|_| {}).await.unwrap();
    assert_eq!(&*fetched.files.open("model", "config.json").unwrap(), b"{}");
    assert_eq!(bench.store().peek(&"embedded:nano".parse().unwrap(), "config.json", &|_| {}).await.unwrap(), b"{}");
    let error = bench.store().fetch(&part("embedded:giga"), &config, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "this program has no embedded model giga; it has nano");
}

#[tokio::test]
async fn damage_on_disk_is_found() {
    let bench = Bench::new();
    let (store, source) = (bench.store(), bench.branch()[0].1.clone());
    fetch(&store, &bench.branch()).await.unwrap();
    assert!(store.verify(&source).await.unwrap().iter().all(|report| report.state == FileState::Whole));
    fs::write(bench.repo().join("blobs").join(sha256(&weights())), vec![7; 300_000]).unwrap();
    fs::remove_file(bench.repo().join("blobs").join(git(b"{\"a\":1}"))).unwrap();
    let reports = store.verify(&source).await.unwrap();
    assert!(reports.iter().all(FileReport::bad), "{reports:?}");
    assert_eq!(reports[0].state, FileState::Missing);
    assert!(matches!(&reports[1].state, FileState::Damaged(reason) if reason.contains("checksum")));
}

#[test]
fn setting_up_touches_nothing() {
    let bench = Bench::new();
    drop(bench.store());
    assert_eq!((bench.cache().exists(), bench.hub.requests()), (false, 0));
    let config = Config { endpoints: vec!["huggingface.co".into()], ..bench.config() };
    let error = Store::new(config, Buckets::new(BucketsConfig::default()), EMBEDDED, &Registry::new()).err().unwrap();
    assert!(error.to_string().contains("https://huggingface.co"), "{error}");
}

#[test]
fn a_token_is_never_shown() {
    let bench = Bench::new();
    let config = Config { token: Some(Secret("hf_secret".into())), ..bench.config() };
    assert!(!format!("{config:?}").contains("hf_secret"));
}
