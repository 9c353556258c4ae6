//! Where jobs are written down: an embedded database, in a file or in memory.

use std::{
    fs::DirBuilder,
    io::Read,
    os::unix::fs::DirBuilderExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
    backends::InMemoryBackend,
};
use serde_json::Value;

use super::{
    error::JobsError,
    record::{JobId, Record},
};

const JOBS: TableDefinition<&str, &[u8]> = TableDefinition::new("jobs");
const RECORDINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("recordings");
const RESULTS: TableDefinition<&str, &[u8]> = TableDefinition::new("results");
const CHECKPOINTS: TableDefinition<&str, &[u8]> = TableDefinition::new("checkpoints");

/// What the database may hold in memory beside its file. Jobs are read once each.
const CACHE: usize = 16 << 20;

/// How each file of the database begins.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// Of a file that makes the database stumble over its own assertions.
const NONSENSE: &str = "its content makes no sense";

/// After a failure of the disk the database refuses everything, until it is opened anew.
pub(super) struct JobStore {
    /// `None`: in memory.
    path: Option<PathBuf>,
    /// `None` where it could not be opened again, for now. Held for writing only to open it.
    database: RwLock<Option<Database>>,
    /// Why the last thing that was asked of it was not done. Locked for a copy only.
    trouble: Mutex<Option<String>>,
}

/// What was found where the jobs are kept.
pub(super) struct Opened {
    pub store: JobStore,
    /// Oldest first.
    pub records: Vec<Record>,
    /// Where a damaged file was moved, and why.
    pub set_aside: Option<(PathBuf, String)>,
}

/// Why a file cannot be opened.
enum Unopened {
    /// It is of this database, and its content makes no sense.
    Damaged(String),
    Refused(JobsError),
}

/// A part of a change. All parts of a commit are written, or none.
#[derive(Debug)]
pub(super) enum Change {
    Put(Box<Record>),
    Recording(JobId, Bytes),
    Result(JobId, Vec<u8>),
    Checkpoint(JobId, Bytes),
    /// What the work needed, and its result does not.
    DropWork(JobId),
    Forget(JobId),
}

// === impl JobStore ===

impl JobStore {
    /// Bytes that may still be written beneath; `None`: in memory, or nobody tells. Asks the disk.
    pub fn free(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(self.path.as_ref()?.parent()?).ok()?;
        (stat.f_blocks > 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// What was written down before comes with it. A damaged file is set aside under another name.
    pub fn open(dir: Option<&Path>) -> Result<Opened, JobsError> {
        let Some(dir) = dir else {
            let database = Self::builder().create_with_backend(InMemoryBackend::new());
            let database = database.map_err(|error| Self::unopened(error, "memory"))?;
            prepare(&database).map_err(|error| JobsError::Open { path: "memory".into(), reason: error.to_string() })?;
            let store = Self { path: None, database: RwLock::new(Some(database)), trouble: Mutex::default() };
            return Ok(Opened { store, records: Vec::new(), set_aside: None });
        };
        let path = Self::folder(dir)?;
        let (database, records, set_aside) = match Self::open_file(&path) {
            Ok((database, records)) => (database, records, None),
            Err(Unopened::Refused(error)) => return Err(error),
            Err(Unopened::Damaged(reason)) => {
                let place = Self::set_aside(&path)?;
                let (database, records) = Self::open_file(&path).map_err(|error| error.told(&path))?;
                (database, records, Some((place, reason)))
            }
        };
        let store = Self { path: Some(path), database: RwLock::new(Some(database)), trouble: Mutex::default() };
        Ok(Opened { store, records, set_aside })
    }

    /// The database reads its own file with assertions, so that a damaged one may make it panic.
    fn open_file(path: &Path) -> Result<(Database, Vec<Record>), Unopened> {
        let place = path.display().to_string();
        let damaged = |reason: &str| Unopened::Damaged(reason.to_owned());
        let ours = is_ours(path)
            .map_err(|source| Unopened::Refused(JobsError::Open { path: place.clone(), reason: source.to_string() }))?;
        let opened = contained(|| Self::builder().create(path)).ok_or_else(|| damaged(NONSENSE))?;
        let database = opened.map_err(|error| match error {
            DatabaseError::Storage(StorageError::Corrupted(reason)) if ours => Unopened::Damaged(reason),
            DatabaseError::Storage(StorageError::Io(error)) if ours && of_content(&error) => {
                Unopened::Damaged(error.to_string())
            }
            error => Unopened::Refused(Self::unopened(error, &place)),
        })?;
        let read = contained(|| prepare(&database).and_then(|()| rows(&database)));
        let rows = match read.ok_or_else(|| damaged(NONSENSE))? {
            Ok(rows) => rows,
            Err(redb::Error::Corrupted(reason)) => return Err(Unopened::Damaged(reason)),
            Err(redb::Error::Io(error)) if of_content(&error) => return Err(Unopened::Damaged(error.to_string())),
            Err(error) => {
                return Err(Unopened::Refused(JobsError::Open { path: place, reason: error.to_string() }));
            }
        };
        let records = rows.iter().map(|row| serde_json::from_slice(row)).collect::<Result<_, _>>();
        let foreign = |error| JobsError::Open { path: place, reason: format!("one is of another version: {error}") };
        Ok((database, records.map_err(|error| Unopened::Refused(foreign(error)))?))
    }

    /// Beside the file, with the time: `jobs.redb.damaged-2026-11-28T10-00-00Z`.
    fn set_aside(path: &Path) -> Result<PathBuf, JobsError> {
        let now = chrono::Utc::now().format("%Y-%m-%dT%H-%M-%SZ");
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{now}"));
        let moved = std::fs::rename(path, &name);
        let failed = |source: std::io::Error| JobsError::Open {
            path: path.display().to_string(),
            reason: format!("it is damaged and cannot be moved away: {source}"),
        };
        moved.map(|()| name.into()).map_err(failed)
    }

    fn builder() -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE);
        builder
    }

    /// Recordings are nobody else's business.
    fn folder(dir: &Path) -> Result<PathBuf, JobsError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| JobsError::Folder { path: dir.display().to_string(), source })?;
        Ok(dir.join("jobs.redb"))
    }

    fn unopened(error: DatabaseError, place: &str) -> JobsError {
        match error {
            DatabaseError::DatabaseAlreadyOpen => JobsError::InUse { path: place.to_owned() },
            error => JobsError::Open { path: place.to_owned(), reason: error.to_string() },
        }
    }

    /// Works on the database, and once more on the database opened anew if that fails: after a failure of the disk it
    /// would refuse everything.
    fn with<T>(&self, work: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let mut outcome = self.try_with(&work);
        if outcome.is_err() && self.path.is_some() {
            outcome = self.reopen().and_then(|()| self.try_with(&work));
        }
        *self.trouble.lock() = outcome.as_ref().err().map(ToString::to_string);
        outcome
    }

    /// As a failed reopening leaves it.
    #[cfg(test)]
    pub fn close(&self) {
        *self.database.write() = None;
    }

    /// Why jobs cannot be written down or read just now; the next try may do better.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    fn try_with<T>(&self, work: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let database = self.database.read();
        let closed = || redb::Error::Io(std::io::Error::other("the database is closed"));
        let database = database.as_ref().ok_or_else(closed)?;
        let nonsense = || Err(redb::Error::Corrupted(NONSENSE.to_owned()));
        contained(|| work(database)).unwrap_or_else(nonsense)
    }

    fn reopen(&self) -> Result<(), redb::Error> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut database = self.database.write();
        // It writes when it goes, which may fail again.
        let old = database.take();
        let _ = contained(move || drop(old));
        let opened = contained(|| Self::builder().create(path));
        let opened = opened.unwrap_or_else(|| Err(StorageError::Corrupted(NONSENSE.to_owned()).into()))?;
        prepare(&opened)?;
        *database = Some(opened);
        Ok(())
    }

    /// On disk when this returns. Blocks.
    pub fn commit(&self, changes: &[Change]) -> Result<(), redb::Error> {
        self.with(|database| commit(database, changes))
    }

    /// Blocks.
    pub fn recording(&self, id: &JobId) -> Result<Option<Bytes>, redb::Error> {
        self.bytes(RECORDINGS, id)
    }

    /// Blocks.
    pub fn checkpoint(&self, id: &JobId) -> Result<Option<Bytes>, redb::Error> {
        self.bytes(CHECKPOINTS, id)
    }

    /// Blocks.
    pub fn result(&self, id: &JobId) -> Result<Option<Value>, redb::Error> {
        let Some(text) = self.bytes(RESULTS, id)? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&text).map_err(std::io::Error::other)?))
    }

    fn bytes(&self, table: TableDefinition<&str, &[u8]>, id: &JobId) -> Result<Option<Bytes>, redb::Error> {
        self.with(|database| {
            let found = database.begin_read()?.open_table(table)?.get(id.as_str())?;
            Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
        })
    }
}

// === impl Unopened ===

impl Unopened {
    fn told(self, path: &Path) -> JobsError {
        match self {
            Self::Refused(error) => error,
            Self::Damaged(reason) => JobsError::Open { path: path.display().to_string(), reason },
        }
    }
}

/// Whether the file is of this database, or there is none yet.
fn is_ours(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file.take(MAGIC.len() as u64).read_to_end(&mut start)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    Ok(MAGIC.starts_with(&start))
}

/// Whether a failure says something of the bytes of the file, and not of the disk.
fn of_content(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData)
}

/// `None`: it panicked.
fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Makes the tables, so that reading finds them.
fn prepare(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    for table in [JOBS, RECORDINGS, RESULTS, CHECKPOINTS] {
        write.open_table(table)?;
    }
    Ok(write.commit()?)
}

/// Every record as it was written.
fn rows(database: &Database) -> Result<Vec<Vec<u8>>, redb::Error> {
    let jobs = database.begin_read()?.open_table(JOBS)?;
    jobs.iter()?.map(|row| Ok(row?.1.value().to_vec())).collect()
}

fn commit(database: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut jobs = write.open_table(JOBS)?;
        let mut recordings = write.open_table(RECORDINGS)?;
        let mut results = write.open_table(RESULTS)?;
        let mut checkpoints = write.open_table(CHECKPOINTS)?;
        for change in changes {
            match change {
                Change::Put(record) => {
                    let text = serde_json::to_vec(record).map_err(std::io::Error::other)?;
                    jobs.insert(record.id.as_str(), &*text)?;
                }
                Change::Recording(id, bytes) => drop(recordings.insert(id.as_str(), &**bytes)?),
                Change::Result(id, text) => drop(results.insert(id.as_str(), &**text)?),
                Change::Checkpoint(id, bytes) => drop(checkpoints.insert(id.as_str(), &**bytes)?),
                Change::DropWork(id) => {
                    recordings.remove(id.as_str())?;
                    checkpoints.remove(id.as_str())?;
                }
                Change::Forget(id) => {
                    jobs.remove(id.as_str())?;
                    recordings.remove(id.as_str())?;
                    results.remove(id.as_str())?;
                    checkpoints.remove(id.as_str())?;
                }
            }
        }
    }
    Ok(write.commit()?)
}

#[cfg(test)]
mod tests;
