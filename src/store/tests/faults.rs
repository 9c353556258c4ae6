//! What breaks on the way: the model ends whole or the failure is clear, and a later try ends whole.

use super::*;

/// Of several ranges.
const LARGE: usize = 20 << 20;

/// No two pages of it are the same.
fn large() -> Vec<u8> {
    let mut bytes = vec![0; LARGE];
    for (page, chunk) in bytes.chunks_exact_mut(4096).enumerate() {
        chunk[..8].copy_from_slice(&page.to_le_bytes());
    }
    bytes
}

/// A hub whose weights come in several ranges.
fn large_bench() -> Bench {
    let mut bench = Bench::new();
    bench.commit = bench.hub.repo("acme/tiny").lfs(WEIGHTS, large()).commit();
    bench
}

fn only_weights(_: &str, _: &[String]) -> Result<Vec<String>, LoadError> {
    Ok(vec![WEIGHTS.to_owned()])
}

async fn fetch_weights(store: &Store, bench: &Bench) -> Result<Fetched, StoreError> {
    store.fetch(&bench.branch(), &only_weights, &|_| {}).await
}

fn assert_large(fetched: &Fetched) {
    assert!(*fetched.files.open("model", WEIGHTS).unwrap() == large()[..], "the bytes are right");
}

fn network_bytes(store: &Store) -> u64 {
    store.0.metrics.bytes.with_label_values(&["hf"]).get()
}

#[tokio::test]
async fn a_connection_that_is_cut_at_any_tenth_is_resumed() {
    for tenth in 1..10 {
        let (bench, bytes) = (Bench::new(), weights().len());
        bench.hub.truncate_next(bytes * tenth / 10);
        let store = bench.store();
        fetch_weights(&store, &bench).await.unwrap();
        assert_eq!(network_bytes(&store), bytes as u64, "no byte came twice");
    }
}

#[tokio::test]
async fn another_process_goes_on_where_a_cut_ended_the_first() {
    for tenth in 1..10 {
        let (bench, bytes) = (Bench::new(), weights().len());
        bench.hub.truncate_next(bytes * tenth / 10);
        let first = store(Config { attempts: 1, ..bench.config() });
        let error = fetch_weights(&first, &bench).await.unwrap_err();
        assert!(!error.permanent(), "{error}");
        let second = bench.store();
        fetch_weights(&second, &bench).await.unwrap();
        assert_eq!(network_bytes(&first) + network_bytes(&second), bytes as u64, "at {tenth}/10");
        bench.assert_clean().await;
    }
}

#[tokio::test]
async fn a_break_at_ninety_percent_of_many_ranges_costs_eleven() {
    let bench = large_bench();
    bench.hub.throttle(16 << 20);
    let first = bench.store();
    let (running, parts) = (first.clone(), bench.branch());
    let running = tokio::spawn(async move { running.fetch(&parts, &only_weights, &|_| {}).await.map(drop) });
    while network_bytes(&first) < LARGE as u64 * 91 / 100 {
        assert!(!running.is_finished());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    // The thread of the file notes what came, and ends.
    let dir = layout::RepoDir::new(&bench.cache(), &repo());
    let checksum = digest::Checksum::Sha256(sha256(&large()));
    while partial::left_bytes(&dir, &checksum, LARGE as u64) < LARGE as u64 * 89 / 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = bench.store();
    assert_large(&fetch_weights(&second, &bench).await.unwrap());
    let bytes = network_bytes(&second);
    assert!(bytes <= LARGE as u64 * 11 / 100, "{bytes} bytes of {LARGE} came again");
}

#[tokio::test]
async fn large_files_come_in_ranges_and_without_ranges() {
    let bench = large_bench();
    let store = bench.store();
    assert_large(&fetch_weights(&store, &bench).await.unwrap());
    assert_eq!(network_bytes(&store), LARGE as u64);
    assert!(bench.hub.downloads(WEIGHTS) >= 3, "several ranges");
    let resolved = format!("/acme/tiny/resolve/{}/{WEIGHTS}", bench.commit);
    assert_eq!(bench.hub.hits(&resolved), 1, "where the file lies is asked for once");

    let bench = large_bench();
    bench.hub.without_ranges();
    bench.hub.truncate_next(LARGE / 2);
    assert_large(&fetch_weights(&bench.store(), &bench).await.unwrap());
    assert_eq!(bench.hub.downloads(WEIGHTS), 2);
    bench.assert_clean().await;
}

#[tokio::test]
async fn every_refusal_is_clear_and_passes() {
    for (status, permanent, text) in [
        (401, true, "set HF_TOKEN"),
        (403, true, "set HF_TOKEN"),
        (404, true, "has no hf://acme/tiny@main"),
        (416, false, "changed while it was fetched"),
        (429, false, "answers 429"),
        (500, false, "answers 500"),
        (503, false, "answers 503"),
    ] {
        let bench = Bench::new();
        bench.hub.fail_on("/resolve/", 1000, status, None);
        let error = fetch(&bench.store(), &bench.branch()).await.unwrap_err();
        assert!(error.to_string().contains(text), "{status}: {error}");
        assert_eq!(error.permanent(), permanent, "{status}: {error}");
        bench.hub.heal();
        assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
    }
}

#[tokio::test]
async fn a_hub_that_fails_again_and_again_is_left_alone() {
    let bench = Bench::new();
    bench.hub.fail_next(usize::MAX, 500, None);
    let store = store(Config { attempts: 1, ..bench.config() });
    for _ in 0..8 {
        fetch(&store, &bench.branch()).await.unwrap_err();
    }
    let before = bench.hub.requests();
    let error = fetch(&store, &bench.branch()).await.unwrap_err();
    assert_eq!(bench.hub.requests(), before, "nobody asked: {error}");
    assert!(!error.permanent() && error.retry_after().is_some_and(|wait| wait > Duration::ZERO), "{error}");
    bench.hub.heal();
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
}

#[tokio::test]
async fn a_storage_whose_links_expire_is_asked_for_anew() {
    for status in [401, 403, 404, 410, 500] {
        let bench = large_bench();
        bench.hub.fail_on("/storage/", 2, status, None);
        assert_large(&fetch_weights(&bench.store(), &bench).await.unwrap());
    }
}

#[tokio::test]
async fn a_date_to_come_back_at_is_obeyed() {
    let bench = Bench::new();
    let wait = Duration::from_secs(600);
    bench.hub.retry_at(&httpdate::fmt_http_date(SystemTime::now() + wait));
    bench.hub.fail_on("/api/", 1, 503, None);
    let error = fetch(&bench.store(), &bench.branch()).await.unwrap_err();
    let after = error.retry_after().unwrap();
    assert!(after > wait - Duration::from_secs(60) && after <= wait + Duration::from_secs(60), "{after:?}");
}

#[tokio::test]
async fn the_token_stays_with_the_hub() {
    let bench = Bench::new();
    bench.hub.gate("hf_good");
    let with_token = Config { token: Some(Secret("hf_good".into())), ..bench.config() };
    assert_whole(&fetch(&store(with_token.clone()), &bench.branch()).await.unwrap());
    assert!(!bench.hub.token_leaked(), "it does not follow to the storage");

    let main = Hub::start();
    let endpoints = vec![main.url().into(), bench.hub.url().into()];
    let config = Config { endpoints, cache_dir: bench.dir.path().join("other"), ..with_token };
    let error = fetch(&store(config), &bench.branch()).await.unwrap_err();
    assert!(main.requests() > 0, "{error}");
    assert!(matches!(error, StoreError::NotFound { .. } | StoreError::Denied { .. }), "no mirror gets it: {error}");
}

#[tokio::test]
async fn mirrors_are_asked_in_order() {
    let (bench, empty) = (Bench::new(), Hub::start());
    let dead = "http://127.0.0.1:1".to_owned();
    let with = |endpoints: Vec<String>| {
        let endpoints = endpoints.into_iter().map(Into::into).collect();
        store(Config { endpoints, ..bench.config() })
    };
    let error = fetch(&with(vec![dead.clone(), empty.url()]), &bench.branch()).await.unwrap_err();
    assert!(!error.permanent() && error.to_string().contains("cannot be reached"), "it may come back: {error}");
    assert_whole(&fetch(&with(vec![dead, empty.url(), bench.hub.url()]), &bench.branch()).await.unwrap());
    assert!(empty.requests() > 0);
}

#[tokio::test]
async fn a_listing_that_tells_wrong_sizes_is_noticed() {
    for by in [-5, 5] {
        let bench = Bench::new();
        bench.hub.misstate_sizes(by);
        let error = fetch(&bench.store(), &bench.branch()).await.unwrap_err();
        assert!(error.to_string().contains("changed while it was fetched"), "{by}: {error}");
        bench.hub.misstate_sizes(0);
        assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
    }
}

#[tokio::test]
async fn a_file_that_changes_between_listing_and_transfer_is_noticed() {
    for (other, text) in [(vec![7; 300_000], "wrong both times"), (vec![7; 1000], "changed while it was fetched")] {
        let bench = Bench::new();
        let changing = |part: &str, listing: &[String]| {
            if !listing.is_empty() {
                bench.hub.swap("acme/tiny", WEIGHTS, other.clone());
            }
            choose(part, listing)
        };
        let error = bench.store().fetch(&bench.branch(), &changing, &|_| {}).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        let fetched = fetch(&bench.store(), &bench.branch()).await.unwrap();
        assert_eq!(*fetched.files.open("model", WEIGHTS).unwrap(), other[..], "a later try lists anew");
    }
}

#[tokio::test]
async fn a_connection_that_trickles_is_broken_off() {
    let bench = Bench::new();
    bench.hub.throttle(40_000);
    let config =
        Config { idle_timeout: Duration::from_millis(800), min_rate: 10_000_000, attempts: 1, ..bench.config() };
    let error = fetch(&store(config), &bench.branch()).await.unwrap_err();
    assert!(!error.permanent() && error.to_string().contains("bytes per second"), "{error}");
    bench.hub.throttle(100_000_000);
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
}

#[tokio::test]
async fn what_has_no_room_is_refused_before_the_first_byte() {
    let bench = Bench::new();
    let config = Config { reserve: 1 << 60, ..bench.config() };
    let error = fetch(&store(config), &bench.branch()).await.unwrap_err();
    assert!(matches!(error, StoreError::NoRoom { need: 300_007, .. }), "{error}");
    assert!(!error.permanent() && error.to_string().contains("needs 300.0 kB of disk"), "{error}");
    assert_eq!((bench.hub.downloads(WEIGHTS), bench.hub.downloads("config.json")), (0, 0));
    assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
}

#[tokio::test]
async fn who_waits_sees_how_far_the_other_is() {
    let bench = Bench::new();
    bench.hub.stall();
    let (first, second) = (bench.store(), bench.store());
    let (running, parts) = (first.clone(), bench.branch());
    let running = tokio::spawn(async move { fetch(&running, &parts).await });
    while network_bytes(&first) < 100_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let parts = bench.branch();
    let seen = Mutex::new(Progress::default());
    let watch = |progress: Progress| {
        if progress.phase == Phase::Waiting && progress.bytes_done > 100_000 {
            bench.hub.release();
        }
        *seen.lock().unwrap() = progress;
    };
    assert_whole(&second.fetch(&parts, &choose, &watch).await.unwrap());
    assert_whole(&running.await.unwrap().unwrap());
    assert_eq!((bench.hub.downloads(WEIGHTS), network_bytes(&second)), (1, 0));
    assert_eq!(seen.into_inner().unwrap().bytes_done, 300_007);
}

#[tokio::test]
async fn a_lease_is_not_judged_by_the_time_of_its_file() {
    for year in [-50i64, 50] {
        let bench = Bench::new();
        let dir = layout::RepoDir::new(&bench.cache(), &repo());
        let dead = download_lock::DownloadLock::acquire(&dir, |_, _| {}).await.unwrap();
        let content = fs::read(dir.download_lock()).unwrap();
        drop(dead);
        fs::write(dir.download_lock(), content).unwrap();
        let away = Duration::from_secs(year.unsigned_abs() * 365 * 24 * 60 * 60);
        let time = if year < 0 { SystemTime::now() - away } else { SystemTime::now() + away };
        fs::File::options().write(true).open(dir.download_lock()).unwrap().set_modified(time).unwrap();
        assert_whole(&fetch(&bench.store(), &bench.branch()).await.unwrap());
        assert!(!dir.download_lock().exists());
    }
}

/// Answers every request with JSON that never ends; counts what was taken of it.
fn endless_hub() -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, sent) = (format!("http://{}", listener.local_addr().unwrap()), Arc::default());
    let counter: Arc<std::sync::atomic::AtomicUsize> = Arc::clone(&sent);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[\"a\r\n");
            let chunk = [b"10000\r\n".as_slice(), &[b'a'; 1 << 16], b"\r\n"].concat();
            while connection.write_all(&chunk).is_ok() {
                counter.fetch_add(chunk.len(), std::sync::atomic::Ordering::Relaxed);
            }
        }
    });
    (url, sent)
}

#[tokio::test]
async fn a_hub_that_talks_for_ever_is_not_listened_to() {
    let (url, sent) = endless_hub();
    let bench = Bench::new();
    let store = store(Config { endpoints: vec![url.into()], ..bench.config() });
    let error = fetch(&store, &bench.branch()).await.unwrap_err();
    assert!(error.to_string().contains("answers without end"), "{error}");
    assert!(sent.load(std::sync::atomic::Ordering::Relaxed) < 32 << 20, "more was read than the bound allows");
}
