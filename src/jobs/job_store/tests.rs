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
    let request = JobRequest { parameters, recording, webhook: None, key: Some("k".into()), estimate: None, room: 0 };
    Record::new(&request, None, Timestamp::now())
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
