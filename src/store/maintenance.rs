//! Housekeeping, over all caches that are written.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use super::{
    CachedModel, Cleared, CommitPin, Config, Doomed, Source, Store, StoreError, cached_repo::CachedRepo, evict::fit,
    fetch::Plan, files::blocking, housekeeping::Cache, layout::RepoDir, part::Step, preflight,
};
use crate::model::{Location, ModelFiles};

impl Store {
    /// What lies in the caches that are written.
    pub async fn inventory(&self) -> Result<Vec<CachedModel>, StoreError> {
        let models = self.in_caches(|cache| Ok(cache.models())).await?;
        Ok(models.into_iter().flatten().collect())
    }

    /// Removes these commits and what only they need, but nothing that is loaded or being written.
    pub async fn remove(&self, doomed: Vec<Doomed>, dry: bool) -> Result<Cleared, StoreError> {
        let cleared = self.in_caches(move |cache| cache.remove(&doomed, dry)).await?;
        Ok(Cleared::sum(cleared))
    }

    /// Removes what no commit needs, and, if there is a quota, what was not used for longest.
    pub async fn collect(&self, dry: bool) -> Result<Cleared, StoreError> {
        let quota = self.0.config.quota.unwrap_or(u64::MAX);
        let clean = move |cache: &mut Cache| {
            let mut cleared = cache.collect(dry)?;
            cleared.add(cache.shrink(quota.saturating_add(cleared.bytes), dry)?);
            Ok(cleared)
        };
        Ok(Cleared::sum(self.in_caches(clean).await?))
    }

    /// The name of a source's folder in a cache, if it is fetched at all.
    pub fn folder_of(source: &Source) -> Option<String> {
        CachedRepo::of(source).map(|repo| repo.folder)
    }

    /// Lets what was not used for longest make room for what is to be fetched, if there is a quota.
    pub(super) async fn make_room(&self, source: &Source, step: &Step) -> Result<(), StoreError> {
        let (Some(quota), Step::Cached(Plan::Fetch { wanted, .. }), Some(repo)) =
            (self.0.config.quota, step, CachedRepo::of(source))
        else {
            return Ok(());
        };
        let (root, wanted, packed) = (self.cache(source).to_owned(), wanted.clone(), source.archive().is_some());
        let work = move || {
            let need = preflight::need(&RepoDir::new(&root, &repo), &wanted, packed);
            Ok(fit(&root, need, quota, &repo.source))
        };
        blocking(work).await.map_err(StoreError::Cache)?
    }

    /// Marks files as used until the pin is dropped. Only those of caches that are written: elsewhere nobody clears up,
    /// and nothing is ours to write.
    pub(super) async fn pin(&self, files: &ModelFiles) -> Result<CommitPin, StoreError> {
        let Config { cache_dir, own_caches, .. } = &self.0.config;
        let written = |path: &Path| own_caches.values().chain([cache_dir]).any(|cache| path.starts_with(cache));
        let on_disk = |(_, _, location): (&str, &str, &Location)| match location {
            Location::Disk(path) => Some(path.clone()).filter(|path| written(path)),
            Location::Embedded(_) => None,
        };
        let paths: Vec<PathBuf> = files.iter().filter_map(on_disk).collect();
        blocking(move || Ok(CommitPin::of(paths.iter().map(PathBuf::as_path)))).await.map_err(StoreError::Cache)
    }

    /// Works on every cache that is written, one after the other.
    async fn in_caches<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Cache) -> io::Result<T> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let Config { cache_dir, own_caches, .. } = &self.0.config;
        let roots: BTreeSet<PathBuf> = own_caches.values().chain([cache_dir]).cloned().collect();
        let all = move || roots.iter().map(|root| work(&mut Cache::look(root)?)).collect();
        blocking(all).await.map_err(StoreError::Cache)
    }
}
