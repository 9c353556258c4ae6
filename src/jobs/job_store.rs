//! Where jobs are written down: an embedded database, in a file or in memory.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, backends::InMemoryBackend,
};
use serde_json::Value;

use super::{
    error::JobsError,
    record::{JobId, Record},
};

const JOBS: TableDefinition<&str, &[u8]> = TableDefinition::new("jobs");
const RECORDINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("recordings");
const RESULTS: TableDefinition<&str, &[u8]> = TableDefinition::new("results");

/// What the database may hold in memory beside its file. Jobs are read once each.
const CACHE: usize = 16 << 20;

pub(super) struct JobStore(Database);

/// A part of a change. All parts of a commit are written, or none.
#[derive(Debug)]
pub(super) enum Change {
    Put(Box<Record>),
    Recording(JobId, Bytes),
    Result(JobId, Vec<u8>),
    DropRecording(JobId),
    Forget(JobId),
}

// === impl JobStore ===

impl JobStore {
    /// What was written down before comes with it, oldest first.
    pub fn open(dir: Option<&Path>) -> Result<(Self, Vec<Record>), JobsError> {
        let (place, database) = match dir {
            None => ("memory".into(), Self::builder().create_with_backend(InMemoryBackend::new())),
            Some(dir) => {
                let path = Self::folder(dir)?;
                let database = Self::builder().create(&path);
                (path.display().to_string(), database)
            }
        };
        let store = Self(database.map_err(|error| Self::unopened(error, &place))?);
        let records = store.records().map_err(|reason| JobsError::Open { path: place, reason })?;
        Ok((store, records))
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

    fn records(&self) -> Result<Vec<Record>, String> {
        self.prepare().map_err(|error| error.to_string())?;
        let mut records = Vec::new();
        let mut read = || -> Result<(), redb::Error> {
            let jobs = self.0.begin_read()?.open_table(JOBS)?;
            for row in jobs.iter()? {
                records.push(serde_json::from_slice(row?.1.value()));
            }
            Ok(())
        };
        read().map_err(|error| error.to_string())?;
        records.into_iter().collect::<Result<_, _>>().map_err(|error| format!("one is of another version: {error}"))
    }

    /// Makes the tables, so that reading finds them.
    fn prepare(&self) -> Result<(), redb::Error> {
        let write = self.0.begin_write()?;
        for table in [JOBS, RECORDINGS, RESULTS] {
            write.open_table(table)?;
        }
        Ok(write.commit()?)
    }

    /// On disk when this returns. Blocks.
    pub fn commit(&self, changes: &[Change]) -> Result<(), redb::Error> {
        let write = self.0.begin_write()?;
        {
            let mut jobs = write.open_table(JOBS)?;
            let mut recordings = write.open_table(RECORDINGS)?;
            let mut results = write.open_table(RESULTS)?;
            for change in changes {
                match change {
                    Change::Put(record) => {
                        let text = serde_json::to_vec(record).map_err(std::io::Error::other)?;
                        jobs.insert(record.id.as_str(), &*text)?;
                    }
                    Change::Recording(id, bytes) => drop(recordings.insert(id.as_str(), &**bytes)?),
                    Change::Result(id, text) => drop(results.insert(id.as_str(), &**text)?),
                    Change::DropRecording(id) => drop(recordings.remove(id.as_str())?),
                    Change::Forget(id) => {
                        jobs.remove(id.as_str())?;
                        recordings.remove(id.as_str())?;
                        results.remove(id.as_str())?;
                    }
                }
            }
        }
        Ok(write.commit()?)
    }

    /// Blocks.
    pub fn recording(&self, id: &JobId) -> Result<Option<Bytes>, redb::Error> {
        self.bytes(RECORDINGS, id)
    }

    /// Blocks.
    pub fn result(&self, id: &JobId) -> Result<Option<Value>, redb::Error> {
        let Some(text) = self.bytes(RESULTS, id)? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&text).map_err(std::io::Error::other)?))
    }

    fn bytes(&self, table: TableDefinition<&str, &[u8]>, id: &JobId) -> Result<Option<Bytes>, redb::Error> {
        let found = self.0.begin_read()?.open_table(table)?.get(id.as_str())?;
        Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
    }
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
        let (store, before) = JobStore::open(Some(dir.path())).unwrap();
        assert!(before.is_empty());
        let changes = [Change::Put(Box::new(record.clone())), Change::Recording(record.id.clone(), recording.clone())];
        store.commit(&changes).unwrap();
        drop(store);
        let (store, records) = JobStore::open(Some(dir.path())).unwrap();
        assert_eq!(records, std::slice::from_ref(&record));
        assert_eq!(store.recording(&record.id).unwrap(), Some(recording));
        let result = b"{\"text\":\"hello\"}".to_vec();
        store.commit(&[Change::DropRecording(record.id.clone()), Change::Result(record.id.clone(), result)]).unwrap();
        assert_eq!(store.recording(&record.id).unwrap(), None);
        assert_eq!(store.result(&record.id).unwrap(), Some(json!({"text": "hello"})));
        store.commit(&[Change::Forget(record.id.clone())]).unwrap();
        assert_eq!((store.records().unwrap(), store.result(&record.id).unwrap()), (vec![], None));
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
}
