use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use candle_core::{Device, Tensor};
use tempfile::TempDir;

use super::*;

/// Bytes of one computation in memory.
const SIZE: u64 = 400;

fn config(folder: Option<&Path>) -> ReferenceCacheConfig {
    ReferenceCacheConfig { memory: 3 * SIZE, folder: folder.map(Path::to_owned), disk: 1 << 20 }
}

fn key(recording: &str) -> ReferenceKey<'_> {
    ReferenceKey { recording, encoder: ("tone", "1"), parameters: &[("rate", 24_000.0)] }
}

fn tensors(value: f32) -> ReferenceTensors {
    HashMap::from([("pitch".to_owned(), Tensor::full(value, 100, &Device::Cpu).unwrap())])
}

/// What the cache has, and whether it had to be computed.
fn ask(cache: &ReferenceCache, key: &ReferenceKey<'_>, value: f32) -> (f32, bool) {
    let mut computed = false;
    let found = cache.get_or_compute(key, || {
        computed = true;
        Ok::<_, Infallible>(tensors(value))
    });
    let Ok(found) = found;
    (found["pitch"].get(0).unwrap().to_scalar().unwrap(), computed)
}

fn count(cache: &ReferenceCache, found: &str) -> u64 {
    cache.0.uses.with_label_values(&[found]).get()
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_second_use_pays_nothing_also_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let cache = ReferenceCache::new(&config(Some(folder.path())));
    assert_eq!(ask(&cache, &key("anna"), 1.0), (1.0, true));
    assert_eq!(ask(&cache, &key("anna"), 2.0), (1.0, false));
    let restarted = ReferenceCache::new(&config(Some(folder.path())));
    assert_eq!(ask(&restarted, &key("anna"), 2.0), (1.0, false));
    assert_eq!(ask(&restarted, &key("anna"), 2.0), (1.0, false));
    let counts = |cache| ["computed", "disk", "memory"].map(|found| count(cache, found));
    assert_eq!((counts(&cache), counts(&restarted)), ([1, 0, 1], [0, 1, 1]));
}

#[test]
fn every_part_of_a_key_counts() {
    let cache = ReferenceCache::default();
    let usual = key("anna");
    assert!(ask(&cache, &usual, 1.0).1);
    let others = [
        ReferenceKey { recording: "berta", ..usual },
        ReferenceKey { encoder: ("tone", "2"), ..usual },
        ReferenceKey { encoder: ("tones", "1"), ..usual },
        ReferenceKey { parameters: &[("rate", 16_000.0)], ..usual },
        ReferenceKey { parameters: &[], ..usual },
    ];
    for other in others {
        assert!(ask(&cache, &other, 2.0).1, "{other:?}");
    }
    assert_eq!(ask(&cache, &usual, 3.0), (1.0, false));
}

#[test]
fn memory_keeps_what_was_used_last() {
    let cache = ReferenceCache::new(&config(None));
    for name in ["a", "b", "c"] {
        ask(&cache, &key(name), 1.0);
    }
    assert!(!ask(&cache, &key("a"), 1.0).1);
    ask(&cache, &key("d"), 1.0);
    assert!(ask(&cache, &key("b"), 1.0).1, "b was used longest ago");
    assert!(!ask(&cache, &key("a"), 1.0).1);
    let small = ReferenceCache::new(&ReferenceCacheConfig { memory: SIZE - 1, ..config(None) });
    assert!(ask(&small, &key("a"), 1.0).1 && ask(&small, &key("a"), 1.0).1);
}

#[test]
fn the_folder_keeps_what_was_used_last() {
    let folder = TempDir::new().unwrap();
    let one = ReferenceCache::new(&config(Some(folder.path())));
    ask(&one, &key("a"), 1.0);
    let bytes = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().metadata().unwrap().len();
    let cache = || ReferenceCache::new(&ReferenceCacheConfig { disk: 3 * bytes, ..config(Some(folder.path())) });
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for name in ["b", "c"] {
        ask(&cache(), &key(name), 1.0);
    }
    for entry in fs::read_dir(folder.path()).unwrap() {
        fs::File::options().append(true).open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
    }
    assert!(!ask(&cache(), &key("a"), 1.0).1, "it counts as used now");
    assert!(!ask(&cache(), &key("b"), 1.0).1);
    ask(&cache(), &key("d"), 1.0);
    assert_eq!(files(folder.path()), 3);
    assert!(!ask(&cache(), &key("a"), 1.0).1 && ask(&cache(), &key("c"), 1.0).1, "c was used longest ago");
}

#[test]
fn what_is_wrong_with_the_folder_costs_a_computation_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let cache = || ReferenceCache::new(&config(Some(folder.path())));
    ask(&cache(), &key("a"), 1.0);
    let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    for damage in [&b""[..], b"not a file of tensors", &[0xff; 64]] {
        fs::write(&path, damage).unwrap();
        assert_eq!(ask(&cache(), &key("a"), 2.0), (2.0, true));
        assert_eq!(ask(&cache(), &key("a"), 3.0), (2.0, false), "it was mended");
    }
    fs::write(&path, vec![0; 2 << 20]).unwrap();
    assert_eq!(ask(&cache(), &key("a"), 4.0), (4.0, true), "larger than all may be");
    let nowhere = ReferenceCache::new(&config(Some(Path::new("/dev/null/nowhere"))));
    assert_eq!(ask(&nowhere, &key("a"), 5.0), (5.0, true));
    assert_eq!(ask(&nowhere, &key("a"), 6.0), (5.0, false), "memory keeps it");
}

#[test]
fn a_computation_that_fails_is_not_kept() {
    let folder = TempDir::new().unwrap();
    let cache = ReferenceCache::new(&config(Some(folder.path())));
    assert_eq!(cache.get_or_compute(&key("a"), || Err("no voice")).unwrap_err(), "no voice");
    assert_eq!(files(folder.path()), 0);
    assert_eq!(ask(&cache, &key("a"), 1.0), (1.0, true));
}
