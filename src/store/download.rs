//! The files of a whole model, and single ones: [`Store::fetch`], [`Store::local`] and [`Store::peek`].

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use super::{
    CommitPin, Config, Progress, Provenance, Source, Store, StoreError,
    cached_repo::CachedRepo,
    files::blocking,
    folder,
    layout::RepoDir,
    part::{Part, PartPlan, start},
    preflight::check_room,
    progress::Tracker,
    snapshots::{self, Found},
};
use crate::model::{LoadError, Location, ModelFiles};

/// Which files a part needs, by its name and the listing of its source; `Family::files` in most cases.
pub type Choose<'a> = dyn Fn(&str, &[String]) -> Result<Vec<String>, LoadError> + Sync + 'a;

/// The files of a model, all parts, on this machine.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    pub files: ModelFiles,
    /// Part → where its files came from.
    pub parts: BTreeMap<String, Provenance>,
    /// Of all files together.
    pub bytes: u64,
    /// Keeps housekeeping away from the files, in this process and in others.
    pub pin: Option<Arc<CommitPin>>,
}

/// What there is to do for a model. Made by [`Store::plan`]; [`Store::preview`] looks ahead, [`Store::carry_out`] does it.
pub struct FetchPlan(pub(super) Vec<PartPlan>);

// === impl Store ===

impl Store {
    /// One file of a source, for example `config.json` to find out the family. From disk if it is there, else fetched
    /// like any other; of an archive, with everything else that is in it. Progress goes to `progress`, as by
    /// [`Self::fetch`].
    pub async fn peek(
        &self,
        source: &Source,
        file: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Vec<u8>, StoreError> {
        let location = match self.locate(source, file)? {
            Some(location) => location,
            None => Location::Disk(self.noting(source, self.fetch_one(source, file, progress).await)?),
        };
        blocking(move || read(&location)).await.map_err(StoreError::Cache)
    }

    /// As [`Self::peek`], without the network: `None` where the file is not on this machine. Blocks for moments.
    pub fn peek_here(&self, source: &Source, file: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let location = self.locate(source, file)?;
        location.map(|location| read(&location).map_err(StoreError::Cache)).transpose()
    }

    /// The names of the files of a folder that can be read, or of the file that is there in the place of one; of any other source
    /// `None`. Blocks for moments.
    pub fn folder_listing(&self, source: &Source) -> Option<Vec<String>> {
        match source {
            Source::Folder(folder) if folder.is_file() => Some(vec![folder.file_name()?.to_str()?.to_owned()]),
            Source::Folder(folder) => folder::listing(folder).ok(),
            _ => None,
        }
    }

    fn locate(&self, source: &Source, file: &str) -> Result<Option<Location>, StoreError> {
        match source {
            Source::Embedded(name) => {
                let found = self.embedded(name)?.file(file).map(Location::Embedded);
                found.map(Some).ok_or_else(|| StoreError::no_file(source, file))
            }
            Source::Folder(folder) => Ok(Some(Location::Disk(folder::file(folder, file)?.path))),
            _ => Ok(self.cached(source, file).map(|found| Location::Disk(found.path))),
        }
    }

    /// Makes all parts of a model lie on this machine, verified. `choose` says which files are needed; progress goes to
    /// `progress`, at most some ten times a second. Dropping the future ends the transfer and leaves nothing half.
    pub async fn fetch(
        &self,
        parts: &[(String, Source)],
        choose: &Choose<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Fetched, StoreError> {
        let plan = self.plan(parts, choose, progress).await?;
        self.carry_out(plan, choose, progress).await
    }

    /// The first half of [`Self::fetch`]: finds out what is here and what is to come. Nothing is written.
    pub async fn plan(
        &self,
        parts: &[(String, Source)],
        choose: &Choose<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<FetchPlan, StoreError> {
        progress(Progress::default());
        let mut steps = Vec::new();
        for (part, source) in parts {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| StoreError::unfit(source, error));
            let step = self.noting(source, self.plan_part(source, &chosen).await)?;
            steps.push(PartPlan { part: part.clone(), source: source.clone(), step });
        }
        Ok(FetchPlan(steps))
    }

    /// The second half of [`Self::fetch`]. Whether there is room for all of it is settled before the first byte.
    pub async fn carry_out(
        &self,
        FetchPlan(plan): FetchPlan,
        choose: &Choose<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Fetched, StoreError> {
        self.make_room(&plan, self.0.config.reserve).await?;
        let tracker = Tracker::new(start(plan.iter().map(|part| &part.step)), progress);
        let mut fetched = Fetched::default();
        for PartPlan { part, source, step } in plan {
            let chosen = |listing: &[String]| choose(&part, listing).map_err(|error| StoreError::unfit(&source, error));
            let carried_out = self.carry_out_part(&source, step, &chosen, &tracker, self.0.config.reserve).await;
            let mut carried_out = self.noting(&source, carried_out)?;
            let until_then = carried_out.pin.take();
            fetched.add(&part, &source, carried_out);
            self.keep_derived(&part, &mut fetched);
            // Before the next part comes.
            fetched.pin = Some(Arc::new(self.pin(&fetched.files).await?));
            drop(until_then);
        }
        Ok(fetched)
    }

    /// What [`Self::fetch`] would give without the network, if everything is here. Looks at the disk, so it may block
    /// for moments.
    pub fn local(&self, parts: &[(String, Source)], choose: &Choose<'_>) -> Result<Option<Fetched>, StoreError> {
        let mut fetched = Fetched::default();
        for (part, source) in parts {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| StoreError::unfit(source, error));
            match self.local_part(source, &chosen)? {
                Some(files) => fetched.add(part, source, files),
                None => return Ok(None),
            }
            self.keep_derived(part, &mut fetched);
        }
        Ok(Some(fetched))
    }

    /// Says where a family may keep what it computes of a part: beside its files, where this server may write. What is not
    /// there yet needs room for as much as the files have, so that the reserve stays free whatever becomes of it.
    fn keep_derived(&self, part: &str, fetched: &mut Fetched) {
        let Config { cache_dir, own_caches, keep_derived, reserve, .. } = &self.0.config;
        let written = || [cache_dir].into_iter().chain(own_caches.values());
        let first = fetched.files.iter().find_map(|(of, _, location)| match location {
            Location::Disk(path) if of == part && written().any(|cache| path.starts_with(cache)) => {
                RepoDir::of_file(path)
            }
            _ => None,
        });
        let folder = first.map(|(repo, commit)| repo.derived(&commit));
        let fits = |folder: &PathBuf| folder.exists() || check_room(folder, fetched.bytes, *reserve, part).is_ok();
        if let Some(folder) = folder.filter(|folder| *keep_derived && fits(folder)) {
            fetched.files.derive_in(part, folder);
        }
    }

    fn cached(&self, source: &Source, file: &str) -> Option<Found> {
        snapshots::single(&self.caches(source), &CachedRepo::of(source)?, file)
    }
}

fn read(location: &Location) -> io::Result<Vec<u8>> {
    match location {
        Location::Disk(path) => std::fs::read(path),
        Location::Embedded(bytes) => Ok(bytes.to_vec()),
        Location::Ahead { .. } => Err(io::ErrorKind::NotFound.into()),
    }
}

// === impl Fetched ===

impl Fetched {
    fn add(&mut self, name: &str, source: &Source, part: Part) {
        let provenance = Provenance { source: source.to_string(), commit: part.commit, from: part.from };
        self.parts.insert(name.to_owned(), provenance);
        for (file, location, bytes) in part.files {
            self.files.insert(name, &file, location);
            self.bytes += bytes;
        }
    }
}
