//! How much room the disk beneath a cache has.

use std::{
    io,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use prometheus::{
    IntGauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Bytes of a file system, for this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// That may still be written.
    pub free: u64,
    /// Of all of it, free or not.
    pub size: u64,
}

/// Looks at the disk whenever Prometheus asks.
struct Gauges {
    cache: PathBuf,
    free: IntGauge,
    size: IntGauge,
    /// Held while the disk is asked. A network file system may hang, and who comes meanwhile does without.
    asking: Mutex<()>,
}

// === impl Space ===

impl Space {
    /// Of the file system that a folder is on; `None` where it does not say. The folder must exist.
    pub(super) fn of(folder: &Path) -> io::Result<Option<Self>> {
        let stat = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok((stat.f_blocks > 0).then(|| Self { free: bytes(stat.f_bavail), size: bytes(stat.f_blocks) }))
    }

    /// Where a folder is, or will be once something is fetched into it.
    pub(super) fn beneath(folder: &Path) -> Option<Self> {
        folder.ancestors().find_map(|folder| Self::of(folder).ok()).flatten()
    }
}

/// Lets Prometheus know how full the disk beneath a cache is. Nothing is told where the file system does not say.
pub(super) fn register(registry: &Registry, cache: &Path) -> Result<(), prometheus::Error> {
    registry.register(Box::new(Gauges {
        cache: cache.to_owned(),
        free: IntGauge::new("sconce_cache_free_bytes", "Bytes that may still be written beneath store.cache_dir.")?,
        size: IntGauge::new("sconce_cache_size_bytes", "Bytes of the whole file system beneath store.cache_dir.")?,
        asking: Mutex::new(()),
    }))
}

// === impl Gauges ===

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        [&self.free, &self.size].into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let asked = self.asking.try_lock().and_then(|_asking| Space::beneath(&self.cache));
        let Some(Space { free, size }) = asked else { return Vec::new() };
        let tell = |gauge: &IntGauge, bytes: u64| {
            gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
            gauge.collect()
        };
        [tell(&self.free, free), tell(&self.size, size)].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn told(registry: &Registry) -> BTreeMap<String, f64> {
        let value = |family: MetricFamily| (family.name().to_owned(), family.get_metric()[0].get_gauge().get_value());
        registry.gather().into_iter().map(value).collect()
    }

    #[test]
    fn a_disk_is_told_of_before_the_cache_is_made() {
        let (dir, registry) = (tempfile::TempDir::new().unwrap(), Registry::new());
        let cache = dir.path().join("not/yet");
        register(&registry, &cache).unwrap();
        let size = Space::of(dir.path()).unwrap().unwrap().size as f64;
        let told = told(&registry);
        assert_eq!(told["sconce_cache_size_bytes"], size);
        assert!((0.0..=size).contains(&told["sconce_cache_free_bytes"]), "{told:?}");
        assert!(!cache.exists(), "who looks makes nothing");
    }

    #[test]
    fn who_asks_while_a_disk_hangs_does_without() {
        let gauge = |name: &str| IntGauge::new(name, "help").unwrap();
        let (free, size) = (gauge("free"), gauge("size"));
        let gauges = Gauges { cache: "/".into(), free, size, asking: Mutex::new(()) };
        let hangs = gauges.asking.lock();
        assert!(gauges.collect().is_empty());
        drop(hangs);
        assert_eq!(gauges.collect().len(), 2);
    }
}
