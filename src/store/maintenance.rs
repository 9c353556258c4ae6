//! Housekeeping, over all caches that are written.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{
    CachedModel, Cleared, CommitPin, Config, Doomed, Source, Store, StoreError,
    cached_repo::CachedRepo,
    evict::fit,
    fetch::Plan,
    files::blocking,
    housekeeping::Cache,
    layout::RepoDir,
    origin::Listed,
    part::{PartPlan, Step},
    preflight::{check_room, need},
};
use crate::model::{Location, ModelFiles};

/// What is to be written into one cache.
struct Load {
    repo: CachedRepo,
    wanted: Vec<Listed>,
    packed: bool,
}

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

    /// Settles before the first byte whether there is room for all that a plan is to bring: within the quota, if there is
    /// one, for which what was not used for longest goes, and on the disk beside the reserve.
    pub(super) async fn make_room(&self, plan: &[PartPlan], reserve: u64) -> Result<(), StoreError> {
        let mut loads: BTreeMap<PathBuf, Vec<Load>> = BTreeMap::new();
        for PartPlan { source, step, .. } in plan {
            if let (Step::Cached(Plan::Fetch { wanted, .. }), Some(repo)) = (step, CachedRepo::of(source)) {
                let load = Load { repo, wanted: wanted.clone(), packed: source.archive().is_some() };
                loads.entry(self.cache(source).to_owned()).or_default().push(load);
            }
        }
        let quota = self.0.config.quota;
        let work = move || Ok(loads.iter().try_for_each(|(cache, loads)| make_room(cache, loads, quota, reserve)));
        let outcome = blocking(work).await.map_err(StoreError::Cache).flatten();
        match plan.iter().find(|part| matches!(part.step, Step::Cached(Plan::Fetch { .. }))) {
            Some(first) => self.noting(&first.source, outcome),
            None => outcome,
        }
    }

    /// Marks files as used until the pin is dropped. Only those of caches that are written: elsewhere nobody clears up,
    /// and nothing is ours to write.
    pub(super) async fn pin(&self, files: &ModelFiles) -> Result<CommitPin, StoreError> {
        let Config { cache_dir, own_caches, .. } = &self.0.config;
        let written = |path: &Path| own_caches.values().chain([cache_dir]).any(|cache| path.starts_with(cache));
        let on_disk = |(_, _, location): (&str, &str, &Location)| match location {
            Location::Disk(path) => Some(path.clone()).filter(|path| written(path)),
            Location::Embedded(_) | Location::Ahead { .. } => None,
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

/// Makes room in one cache. Blocks.
fn make_room(cache: &Path, loads: &[Load], quota: Option<u64>, reserve: u64) -> Result<(), StoreError> {
    let needs = loads.iter().map(|load| need(&RepoDir::new(cache, &load.repo), &load.wanted, load.packed));
    let all = needs.fold(0u64, u64::saturating_add);
    let names = loads.iter().map(|load| load.repo.source.as_str()).collect::<Vec<_>>().join(" with ");
    quota.map_or(Ok(()), |quota| fit(cache, all, quota, &names))?;
    check_room(cache, all, reserve, &names)
}
