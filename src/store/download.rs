//! The files of a whole model, and single ones: [`Store::fetch`], [`Store::local`] and [`Store::peek`].

use std::{collections::BTreeMap, sync::Arc};

use super::{
    CommitPin, Progress, Provenance, Source, Store, StoreError,
    cached_repo::CachedRepo,
    files::blocking,
    folder,
    part::{Part, start},
    progress::Tracker,
    snapshots::{self, Found},
};
use crate::model::{LoadError, ModelFiles};

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
        let path = match source {
            Source::Embedded(name) => {
                let found = self.embedded(name)?.file(file).map(<[u8]>::to_vec);
                return found.ok_or_else(|| StoreError::no_file(source, file));
            }
            Source::Folder(folder) => folder::file(folder, file)?.path,
            _ => match self.cached(source, file) {
                Some(found) => found.path,
                None => self.noting(source, self.fetch_one(source, file, progress).await)?,
            },
        };
        blocking(move || std::fs::read(path)).await.map_err(StoreError::Cache)
    }

    /// Makes all parts of a model lie on this machine, verified. `choose` says which files are needed; progress goes to
    /// `progress`, at most some ten times a second. Dropping the future ends the transfer and leaves nothing half.
    pub async fn fetch(
        &self,
        parts: &[(String, Source)],
        choose: &Choose<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Fetched, StoreError> {
        progress(Progress::default());
        let mut steps = Vec::new();
        for (part, source) in parts {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| StoreError::unfit(source, error));
            steps.push(self.noting(source, self.plan(source, &chosen).await)?);
        }
        let tracker = Tracker::new(start(&steps), progress);
        let mut fetched = Fetched::default();
        for ((part, source), step) in parts.iter().zip(steps) {
            let chosen = |listing: &[String]| choose(part, listing).map_err(|error| StoreError::unfit(source, error));
            self.noting(source, self.make_room(source, &step).await)?;
            let carried_out = self.carry_out(source, step, &chosen, &tracker).await;
            let mut carried_out = self.noting(source, carried_out)?;
            let until_then = carried_out.pin.take();
            fetched.add(part, source, carried_out);
            // Before the next part makes room for itself.
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
        }
        Ok(Some(fetched))
    }

    fn cached(&self, source: &Source, file: &str) -> Option<Found> {
        snapshots::single(&self.caches(source), &CachedRepo::of(source)?, file)
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
