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
mod tests {
    use super::{
        super::{
            record::{JobRequest, Recording},
            timestamp::Timestamp,
        },
        *,
    };
    use serde_json::json;

    fn record() -> Record {
        let recording = Some(Recording { bytes: Bytes::from_static(b"RIFF"), hint: Some("a.wav".into()) });
        let parameters = json!({"language": "en"});
        Record::new(&JobRequest { parameters, recording, webhook: None, key: Some("k".into()) }, None, Timestamp::now())
    }

    #[test]
    fn what_was_committed_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (record, recording) = (record(), Bytes::from(vec![7; 3 << 20]));
        let Opened { store, records, set_aside } = JobStore::open(Some(dir.path())).unwrap();
        assert!(records.is_empty() && set_aside.is_none());
        let changes = [Change::Put(Box::new(record.clone())), Change::Recording(record.id.clone(), recording.clone())];
        store.commit(&changes).unwrap();
        drop(store);
        let Opened { store, records, .. } = JobStore::open(Some(dir.path())).unwrap();
        assert_eq!(records, std::slice::from_ref(&record));
        assert_eq!(store.recording(&record.id).unwrap(), Some(recording));
        let result = b"{\"text\":\"hello\"}".to_vec();
        let far = |bytes| Change::Checkpoint(record.id.clone(), Bytes::from_static(bytes));
        store.commit(&[far(b"far")]).unwrap();
        store.commit(&[far(b"farther")]).unwrap();
        assert_eq!(store.checkpoint(&record.id).unwrap(), Some(Bytes::from_static(b"farther")), "the newest");
        store.commit(&[Change::DropWork(record.id.clone()), Change::Result(record.id.clone(), result)]).unwrap();
        assert_eq!(store.recording(&record.id).unwrap(), None);
        assert_eq!(store.checkpoint(&record.id).unwrap(), None);
        assert_eq!(store.result(&record.id).unwrap(), Some(json!({"text": "hello"})));
        store.commit(&[Change::Forget(record.id.clone())]).unwrap();
        assert_eq!(store.result(&record.id).unwrap(), None);
        drop(store);
        assert!(JobStore::open(Some(dir.path())).unwrap().records.is_empty());
    }

    #[test]
    fn two_writers_and_foreign_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let _first = JobStore::open(Some(dir.path())).unwrap();
        let second = JobStore::open(Some(dir.path())).map(|_| ()).unwrap_err();
        assert!(second.to_string().contains("another process keeps its jobs"), "{second}");

        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("jobs.redb"), "this is a diary").unwrap();
        let foreign = JobStore::open(Some(other.path())).map(|_| ()).unwrap_err();
        assert!(foreign.to_string().contains("Move the file away"), "{foreign}");
        assert_eq!(std::fs::read(other.path().join("jobs.redb")).unwrap(), b"this is a diary");

        let file = other.path().join("jobs.redb");
        let folder = JobStore::open(Some(&file)).map(|_| ()).unwrap_err();
        assert!(folder.to_string().contains("jobs.dir cannot be made"), "{folder}");
    }

    /// A file with a job in it.
    fn written(dir: &Path) -> Record {
        let record = record();
        let store = JobStore::open(Some(dir)).unwrap().store;
        store.commit(&[Change::Put(Box::new(record.clone()))]).unwrap();
        record
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_named() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let path = dir.path().join("jobs.redb");
        let whole = std::fs::read(&path).unwrap();
        let truncated = [9, 100, 320, 4096, whole.len() / 2, whole.len() - 4096].map(|length| whole[..length].to_vec());
        let scrambled = [64, 320, 4096].map(|from| {
            let mut bytes = whole.clone();
            bytes[from..].iter_mut().for_each(|byte| *byte = 0xa5);
            bytes
        });
        for bytes in truncated.into_iter().chain(scrambled) {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("jobs.redb"), &bytes).unwrap();
            let Opened { store, records, set_aside } = JobStore::open(Some(dir.path())).unwrap();
            let (place, reason) = set_aside.unwrap_or_else(|| panic!("{} bytes were taken for whole", bytes.len()));
            assert!(records.is_empty() && !reason.is_empty());
            assert!(place.display().to_string().contains("jobs.redb.damaged-2"), "{}", place.display());
            assert!(place.exists(), "nothing is thrown away");
            store.commit(&[Change::Put(Box::new(record()))]).unwrap();
        }
    }

    #[test]
    fn after_a_failure_the_database_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let record = written(dir.path());
        let Opened { store, records, .. } = JobStore::open(Some(dir.path())).unwrap();
        assert_eq!(records, std::slice::from_ref(&record));
        store.close();
        assert_eq!(store.recording(&record.id).unwrap(), None, "it is opened by whoever comes first");
        let panics = store.try_with(|_| -> Result<(), redb::Error> { panic!("an assertion of the database") });
        assert!(matches!(panics, Err(redb::Error::Corrupted(_))));
        store.commit(&[Change::Result(record.id.clone(), b"1".to_vec())]).unwrap();
        assert_eq!(store.result(&record.id).unwrap(), Some(json!(1)));
    }
}
