//! Where files are looked for before anybody is asked for them, and how much of them is kept.

use super::*;

/// As the Python tools leave it, without its weights.
fn incomplete(bench: &Bench, cache: &Path) {
    bench.python_cache(cache);
    let snapshot = cache.join("models--acme--tiny/snapshots").join(&bench.commit);
    fs::remove_file(snapshot.join(WEIGHTS)).unwrap();
}

#[tokio::test]
async fn caches_of_other_tools_are_read_in_repo() {
    let bench = Bench::new();
    let other = TempDir::new().unwrap();
    bench.python_cache(other.path());
    let config = Config { other_caches: vec!["/nowhere".into(), other.path().to_owned()], ..bench.config() };
    let fetched = fetch(&store(config), &bench.pinned()).await.unwrap();
    assert_whole(&fetched);
    assert_eq!((bench.hub.requests(), fetched.parts["model"].from), (0, FileOrigin::ReadOnly));
    assert!(!bench.cache().exists(), "nothing was copied");
    assert!(!other.path().join("models--acme--tiny/.sconce").exists(), "and nothing was written there");
}

#[tokio::test]
async fn a_volume_that_is_missing_or_incomplete_is_not_the_end() {
    let bench = Bench::new();
    let volume = TempDir::new().unwrap();
    incomplete(&bench, volume.path());
    let config = Config { read_only: vec!["/nowhere".into(), volume.path().to_owned()], ..bench.config() };
    let fetched = fetch(&store(config.clone()), &bench.pinned()).await.unwrap();
    assert_whole(&fetched);
    assert_eq!(fetched.parts["model"].from, FileOrigin::Network);
    let before = bench.hub.requests();
    assert_whole(&fetch(&store(config), &bench.pinned()).await.unwrap());
    assert_eq!(bench.hub.requests(), before, "now it is here");
}

#[tokio::test]
async fn two_models_on_two_volumes() {
    let bench = Bench::new();
    bench.hub.repo("acme/other").file("config.json", "{\"a\":1}").lfs(WEIGHTS, weights());
    let volume = TempDir::new().unwrap();
    let (own, other) = (part("hf://acme/tiny"), part("hf://acme/other"));
    let config = |dir: PathBuf| Config { own_caches: [(own[0].1.clone(), dir)].into(), ..bench.config() };
    let caches = store(config(volume.path().join("deep/hub")));
    assert_whole(&fetch(&caches, &own).await.unwrap());
    assert_whole(&fetch(&caches, &other).await.unwrap());
    assert!(volume.path().join("deep/hub/models--acme--tiny").is_dir() && !bench.repo().exists());
    assert!(bench.cache().join("models--acme--other").is_dir());
    assert_eq!(caches.inventory().await.unwrap().len(), 2, "housekeeping knows both");
    let before = bench.hub.downloads(WEIGHTS);
    assert_whole(&fetch(&caches, &own).await.unwrap());
    assert_eq!(bench.hub.downloads(WEIGHTS), before);
    // A volume that cannot be written: a file is where it should be.
    let file = volume.path().join("file");
    fs::write(&file, "").unwrap();
    assert_whole(&fetch(&store(config(file)), &own).await.unwrap());
    assert!(bench.repo().is_dir(), "it went where all others go");
}

#[tokio::test]
async fn a_quota_lets_what_is_idle_go_and_what_is_loaded_stay() {
    let bench = Bench::new();
    for name in ["acme/b", "acme/c"] {
        bench.hub.repo(name).file("config.json", format!("{{\"name\":{name:?}}}")).lfs(WEIGHTS, weights());
    }
    let quota = |quota| store(Config { quota: Some(quota), ..bench.config() });
    let names = |models: Vec<CachedModel>| models.into_iter().map(|model| model.name).collect::<Vec<_>>();
    let caches = quota(700_000);
    drop(fetch(&caches, &bench.branch()).await.unwrap());
    let loaded = fetch(&caches, &part("hf://acme/b")).await.unwrap();
    // Reading it again makes it the younger one.
    drop(fetch(&caches, &bench.branch()).await.unwrap());
    assert_eq!(names(caches.inventory().await.unwrap()), ["acme/b", "acme/tiny"]);
    drop(fetch(&caches, &part("hf://acme/c")).await.unwrap());
    assert_eq!(names(caches.inventory().await.unwrap()), ["acme/b", "acme/c"], "what is loaded stays");

    let error = fetch(&quota(310_000), &bench.branch()).await.unwrap_err();
    assert!(!error.permanent() && error.to_string().contains("store.quota allows 310.0 kB"), "{error}");
    assert_eq!(names(caches.inventory().await.unwrap()), ["acme/b"], "c made room, which was not enough");
    let error = fetch(&quota(1000), &bench.branch()).await.unwrap_err();
    assert!(matches!(error, StoreError::OverQuota { .. }), "{error}");
    drop(loaded);
    assert_whole(&fetch(&quota(310_000), &bench.branch()).await.unwrap());
    assert_eq!(names(caches.inventory().await.unwrap()), ["acme/tiny"]);
    assert_eq!(caches.collect(false).await.unwrap(), Cleared::default());
}

#[tokio::test]
async fn what_is_removed_is_fetched_again() {
    let bench = Bench::new();
    let caches = bench.store();
    let fetched = fetch(&caches, &bench.branch()).await.unwrap();
    let doomed = || {
        let folder = Store::folder_of(&bench.branch()[0].1).unwrap();
        vec![Doomed { folder, commit: bench.commit.clone() }]
    };
    let kept = caches.remove(doomed(), false).await.unwrap();
    assert_eq!((kept.kept.len(), kept.bytes), (1, 0), "it is in use");
    drop(fetched);
    let cleared = caches.remove(doomed(), false).await.unwrap();
    assert_eq!((cleared.bytes, bench.repo().exists()), (300_007, false));
    assert!(caches.local(&bench.branch(), &choose).unwrap().is_none());
    assert_whole(&fetch(&caches, &bench.branch()).await.unwrap());
    assert_eq!(bench.hub.downloads(WEIGHTS), 2);
}
