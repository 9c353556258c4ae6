//! Files that the hub keeps in chunks, from a stand-in for its storage of chunks.

use super::*;

const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 24;

/// So many chunks, no two of them alike; `changed` is another one than usual.
fn chunked(changed: Option<usize>) -> Vec<u8> {
    let chunk = |at: usize| vec![if changed == Some(at) { 200 } else { at as u8 }; CHUNK];
    (0..CHUNKS).flat_map(chunk).collect()
}

/// A hub whose weights lie in chunks.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.commit = bench.hub.repo("acme/tiny").chunked(WEIGHTS, chunked(None)).commit();
    bench
}

async fn fetch_weights(store: &Store, bench: &Bench) -> Result<Vec<u8>, StoreError> {
    let only_weights = |_: &str, _: &[String]| Ok(vec![WEIGHTS.to_owned()]);
    let fetched = store.fetch(&bench.branch(), &only_weights, &|_| {}).await?;
    Ok(fetched.files.open("model", WEIGHTS).unwrap().to_vec())
}

/// What the storage of whole files was asked for.
fn by_range(bench: &Bench) -> usize {
    bench.hub.downloads(WEIGHTS)
}

#[tokio::test]
async fn a_file_in_chunks_comes_from_their_storage() {
    let bench = bench();
    let store = bench.store();
    assert!(fetch_weights(&store, &bench).await.unwrap() == chunked(None));
    assert_eq!((by_range(&bench), bench.hub.chunks_sent()), (0, CHUNKS));
    assert_eq!(store.0.metrics.bytes.with_label_values(&["hf"]).get(), (CHUNKS * CHUNK) as u64);
    assert!(!bench.hub.token_leaked());
}

#[tokio::test]
async fn of_a_new_revision_only_the_changed_chunks_come_where_they_are_kept() {
    for (xet_cache, second) in [(64 << 20, 1), (0, CHUNKS)] {
        let mut bench = bench();
        let store = store(Config { xet_cache, ..bench.config() });
        fetch_weights(&store, &bench).await.unwrap();
        bench.commit = bench.hub.repo("acme/tiny").chunked(WEIGHTS, chunked(Some(7))).commit();
        assert!(fetch_weights(&store, &bench).await.unwrap() == chunked(Some(7)));
        assert_eq!(bench.hub.chunks_sent(), CHUNKS + second, "a cache of {xet_cache} bytes");
    }
}

#[tokio::test]
async fn kept_chunks_take_no_more_than_they_may() {
    let bench = bench();
    let limit = 10 * CHUNK as u64;
    fetch_weights(&store(Config { xet_cache: limit, ..bench.config() }), &bench).await.unwrap();
    let folder = bench.config().cache_dir.join(".xet/chunks");
    let sizes = walk(&folder).into_iter().map(|file| fs::metadata(file).unwrap().len());
    let kept: u64 = sizes.sum();
    assert!(kept > 0 && kept <= limit, "{kept} bytes of {limit}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn whoever_wants_ranges_gets_ranges() {
    let bench = bench();
    assert!(fetch_weights(&store(Config { xet: false, ..bench.config() }), &bench).await.unwrap() == chunked(None));
    assert!(by_range(&bench) > 0 && bench.hub.chunks_sent() == 0);
}

#[tokio::test]
async fn a_storage_of_chunks_that_fails_is_left_for_ranges() {
    for path in ["/xet-read-token/", "/reconstructions/", "/cas/chunks/"] {
        let bench = bench();
        bench.hub.fail_on(path, 10_000, 404, None);
        assert!(fetch_weights(&bench.store(), &bench).await.unwrap() == chunked(None), "{path}");
        assert!(by_range(&bench) > 0, "{path}");
    }
}

#[tokio::test]
async fn a_list_of_chunks_is_read_up_to_a_bound_and_then_the_file_comes_by_ranges() {
    for (bytes, chunks) in [(1 << 20, true), (17 << 20, false)] {
        let bench = bench();
        bench.hub.pad_chunk_lists(bytes);
        assert!(fetch_weights(&bench.store(), &bench).await.unwrap() == chunked(None));
        assert_eq!((by_range(&bench) == 0, bench.hub.chunks_sent() > 0), (chunks, chunks), "{bytes} bytes of blanks");
    }
}

#[tokio::test]
async fn a_gated_repository_opens_its_chunks_to_who_has_the_token() {
    let bench = bench();
    bench.hub.gate("hf_good");
    let store = store(Config { token: Some(Secret("hf_good".into())), ..bench.config() });
    assert!(fetch_weights(&store, &bench).await.unwrap() == chunked(None));
    assert_eq!((by_range(&bench), bench.hub.chunks_sent()), (0, CHUNKS));
}
