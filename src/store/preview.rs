//! A look ahead: what is known of a model's files before they come. Enough to weigh the model by, and no more than a few
//! hundred kilobytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture};

use super::{
    FetchPlan, Source, Store, StoreError,
    cached_repo::CachedRepo,
    digest::Checksum,
    fetch::{FILES_AT_ONCE, Fetcher, Plan},
    origin::{Body, Listed, Origin},
    part::{PartPlan, SMALL, Step},
    snapshots::LocalSnapshots,
};
use crate::model::{Location, ModelFiles};

/// Bytes of weights that are asked for at first: the header of most files ends before.
const LEAD: u64 = 256 << 10;
/// Bytes of a header: a tensor takes about a hundred.
const LARGEST_HEADER: u64 = 16 << 20;

/// Of an origin, files that are known already.
struct Known<'a> {
    origin: Box<dyn Origin + 'a>,
    files: BTreeMap<String, Bytes>,
}

// === impl Store ===

impl Store {
    /// The files that a plan is about, as far as they are known: those that are here; of those to come `config.json` and
    /// the indices of weights, whole; the headers of safetensors; and the size of every other. Nothing is written, and
    /// nothing is tried twice. `None` where nothing is to come, or an archive hides it.
    pub async fn preview(&self, FetchPlan(plan): &mut FetchPlan) -> Result<Option<ModelFiles>, StoreError> {
        let to_come = |part: &PartPlan| matches!(part.step, Step::Cached(Plan::Fetch { .. }));
        if !plan.iter().any(to_come) || plan.iter().any(|part| to_come(part) && part.source.archive().is_some()) {
            return Ok(None);
        }
        let mut files = ModelFiles::default();
        for PartPlan { part, source, step } in plan {
            for (file, location) in self.known(source, step).await? {
                files.insert(part, &file, location);
            }
        }
        Ok(Some(files))
    }

    async fn known(&self, source: &Source, step: &mut Step) -> Result<Vec<(String, Location)>, StoreError> {
        let (commit, wanted, seen) = match step {
            Step::Here(part) => {
                return Ok(part.files.iter().map(|(file, location, _)| (file.clone(), location.clone())).collect());
            }
            Step::Cached(Plan::Here { found, .. }) => {
                let here = found.iter().map(|found| (found.file.clone(), Location::Disk(found.path.clone())));
                return Ok(here.collect());
            }
            Step::Cached(Plan::Fetch { commit, wanted, seen, .. }) => (&*commit, &*wanted, seen),
        };
        let repo = CachedRepo::of(source).ok_or_else(|| StoreError::no_file(source, "anything"))?;
        let fetcher = self.fetcher(source, repo, 0)?;
        let looks: Vec<_> = wanted.iter().map(|file| fetcher.look(commit, file).boxed()).collect();
        let known: Vec<_> = futures::stream::iter(looks).buffer_unordered(FILES_AT_ONCE).try_collect().await?;
        for (file, location) in &known {
            if let Location::Ahead { beginning, size } = location
                && beginning.len() as u64 == *size
            {
                seen.insert(file.clone(), beginning.clone());
            }
        }
        Ok(known)
    }
}

// === impl Fetcher ===

impl<'a> Fetcher<'a> {
    /// The same, which need not ask for these.
    pub(super) fn knowing(self, files: BTreeMap<String, Bytes>) -> Self {
        Self { origin: Box::new(Known { origin: self.origin, files }), ..self }
    }

    async fn look(&self, commit: &str, file: &Listed) -> Result<(String, Location), StoreError> {
        let name = file.path.clone();
        if let Some(found) = self.single(commit, &name) {
            return Ok((name, found));
        }
        let beginning = match tells(&file.path, file.size) {
            Tells::Nothing => Bytes::new(),
            Tells::All => self.read_from(commit, file, file.size, |_| file.size).await?,
            Tells::Header => {
                let lead = self.read_from(commit, file, LEAD.min(file.size), header_end).await?;
                match header_end(&lead) {
                    end if end > lead.len() as u64 && end <= LARGEST_HEADER.min(file.size) => {
                        self.read_from(commit, file, end, |_| end).await?
                    }
                    _ => lead,
                }
            }
        };
        Ok((name, Location::Ahead { beginning, size: file.size }))
    }

    /// A file that is here, though others of its commit are not.
    fn single(&self, commit: &str, file: &str) -> Option<Location> {
        let here = self.caches.iter().filter_map(|cache| LocalSnapshots::open(cache, &self.repo, commit));
        here.into_iter().find_map(|snapshots| snapshots.find(file)).map(|found| Location::Disk(found.path))
    }

    /// The beginning of a file: `most` bytes are asked for, and no more are read than `end` says by what came.
    async fn read_from(
        &self,
        commit: &str,
        file: &Listed,
        most: u64,
        end: impl Fn(&[u8]) -> u64,
    ) -> Result<Bytes, StoreError> {
        if most == 0 {
            return Ok(Bytes::new());
        }
        let Ok(_permit) = self.limits.connections.acquire().await else { unreachable!("it is never closed") };
        let Body { mut chunks, .. } = self.origin.read(commit, file, 0..most).await?;
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < end(&bytes).min(most) {
            match chunks.next().await.transpose()? {
                Some(chunk) => bytes.extend_from_slice(&chunk),
                None => break,
            }
        }
        bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(bytes.into())
    }
}

/// Where the header of a safetensors file ends that begins so: its length is a `u64` before it. Beyond all where even
/// that is not known.
fn header_end(known: &[u8]) -> u64 {
    let length = known.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    length.and_then(|length| length.checked_add(8)).unwrap_or(u64::MAX)
}

/// What of a file says how large its model is.
enum Tells {
    All,
    Header,
    Nothing,
}

fn tells(file: &str, size: u64) -> Tells {
    let described = file == "config.json" || file.ends_with("/config.json") || file.ends_with(".index.json");
    match file.ends_with(".safetensors") {
        true if size <= LEAD => Tells::All,
        true => Tells::Header,
        false if described && size <= SMALL => Tells::All,
        false => Tells::Nothing,
    }
}

// === impl Known ===

impl Origin for Known<'_> {
    fn host(&self) -> String {
        self.origin.host()
    }

    fn commit(&self) -> BoxFuture<'_, Result<String, StoreError>> {
        self.origin.commit()
    }

    fn list<'b>(&'b self, commit: &'b str) -> BoxFuture<'b, Result<Vec<Listed>, StoreError>> {
        self.origin.list(commit)
    }

    fn checksum<'b>(&'b self, commit: &'b str, file: &'b Listed) -> BoxFuture<'b, Result<Checksum, StoreError>> {
        self.origin.checksum(commit, file)
    }

    fn read<'b>(
        &'b self,
        commit: &'b str,
        file: &'b Listed,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'b, Result<Body, StoreError>> {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let known =
            self.files.get(&file.path).filter(|bytes| range.start <= range.end && place(range.end) <= bytes.len());
        let Some(bytes) = known else { return self.origin.read(commit, file, range) };
        let part = bytes.slice(place(range.start)..place(range.end));
        let chunks = futures::stream::once(std::future::ready(Ok(part))).boxed();
        Box::pin(std::future::ready(Ok(Body { from: range.start, ranged: true, chunks })))
    }

    fn stream<'b>(
        &'b self,
        commit: &'b str,
        file: &'b Listed,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'b, Result<Option<Body>, StoreError>> {
        match self.files.contains_key(&file.path) {
            true => Box::pin(std::future::ready(Ok(None))),
            false => self.origin.stream(commit, file, range),
        }
    }
}
