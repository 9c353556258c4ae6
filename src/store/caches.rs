//! Which caches a source is looked for in, and which one it is fetched into.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{Config, Source, Store, cached_repo::CachedRepo};

impl Store {
    /// Read-only caches first, then those of other tools, then those that are written.
    pub(super) fn caches(&self, source: &Source) -> Vec<PathBuf> {
        let Config { own_caches, cache_dir, .. } = &self.0.config;
        let written = own_caches.get(source).into_iter().chain([cache_dir]);
        self.only_read().chain(written).cloned().collect()
    }

    /// All there are, in the same order.
    pub(super) fn every_cache(&self) -> Vec<PathBuf> {
        let Config { own_caches, cache_dir, .. } = &self.0.config;
        let mut caches: Vec<PathBuf> =
            self.only_read().chain(own_caches.values()).chain([cache_dir]).cloned().collect();
        let mut seen = BTreeSet::new();
        caches.retain(|cache| seen.insert(cache.clone()));
        caches
    }

    /// The caches that are never written.
    pub(super) fn only_read(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.config.read_only.iter().chain(&self.0.config.other_caches)
    }

    /// Where a source is fetched into. One whose own cache is not there goes where all others go.
    pub(super) fn cache(&self, source: &Source) -> &Path {
        let Config { own_caches, cache_dir, .. } = &self.0.config;
        let Some(own) = own_caches.get(source) else { return cache_dir };
        match std::fs::create_dir_all(own) {
            Ok(()) => own,
            Err(error) => {
                let (own, instead) = (own.display(), cache_dir.display());
                tracing::warn!(%source, %own, %instead, %error, "its own cache cannot be used: is the volume mounted?");
                cache_dir
            }
        }
    }

    /// The folder that a source is fetched into, if it is fetched at all.
    pub fn place_of(&self, source: &Source) -> Option<PathBuf> {
        let Config { own_caches, cache_dir, .. } = &self.0.config;
        Some(own_caches.get(source).unwrap_or(cache_dir).join(CachedRepo::of(source)?.folder))
    }

    /// Says why something is fetched that should have been on a volume.
    pub(super) fn explain(&self, source: &Source, repo: &CachedRepo) {
        for volume in &self.0.config.read_only {
            let (folder, shown) = (volume.join(&repo.folder), volume.display());
            if !volume.is_dir() {
                tracing::warn!(%source, volume = %shown, "a read-only cache is not there: is the volume mounted?");
            } else if folder.is_dir() {
                tracing::warn!(%source, volume = %shown, "the copy in a read-only cache is not complete");
            }
        }
    }
}
