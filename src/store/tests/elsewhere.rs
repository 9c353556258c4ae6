//! Sources other than the hub, against a server of plain files.

use std::io::{Cursor, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;
use crate::remote::{GcsConfig, S3Config, tests::server::Files};

/// A server of files, and a cache that is empty at first.
struct Yard {
    files: Files,
    dir: TempDir,
}

impl Yard {
    fn new() -> Self {
        Self { files: Files::start(), dir: TempDir::new().unwrap() }
    }

    /// With a model at `/models/tiny` and, as an archive, at `/models/tiny.zip`.
    fn stocked() -> Self {
        let yard = Self::new();
        yard.files.put("models/tiny/config.json", "{\"a\":1}").put(&format!("models/tiny/{WEIGHTS}"), weights());
        yard.files.put("models/tiny/README.md", "no").put("models/tiny.zip", zipped("tiny/"));
        yard
    }

    fn store(&self) -> Store {
        self.with(false)
    }

    fn offline(&self) -> Store {
        self.with(true)
    }

    fn with(&self, offline: bool) -> Store {
        self.of(Config { offline, ..self.config() })
    }

    fn config(&self) -> Config {
        config(self.cache(), "http://127.0.0.1:1")
    }

    fn of(&self, config: Config) -> Store {
        let s3 = S3Config { endpoint: Some(self.files.url().into()), anonymous: true, ..S3Config::default() };
        let gcs = GcsConfig { endpoint: Some(self.files.url().into()), credentials: None, anonymous: true };
        store_with(config, Buckets::new(BucketsConfig { s3, gcs }))
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("hub")
    }

    fn pinned(&self, path: &str) -> Vec<(String, Source)> {
        let sha256 = sha256(&self.files.get(path).unwrap().0);
        part(&format!("{}/{path}#sha256={sha256}", self.files.url()))
    }

    /// The only folder of the cache.
    fn folder(&self) -> PathBuf {
        let mut folders: Vec<_> = fs::read_dir(self.cache()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders.pop().unwrap()
    }
}

fn zipped(top: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("config.json", b"{\"a\":1}".to_vec()), (WEIGHTS, weights()), ("README.md", b"no".to_vec())] {
        zip.start_file(format!("{top}{name}"), SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_prefix_of_a_bucket_is_a_model() {
    for scheme in ["gs", "s3"] {
        let yard = Yard::stocked();
        let parts = part(&format!("{scheme}://models/tiny"));
        assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
        assert_eq!(yard.files.downloads("models/tiny/README.md"), 0, "only what is needed");
        let before = yard.files.requests();
        assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
        assert_eq!(yard.files.requests(), before + 1, "one small call to hear whether it is still so");
        assert_whole(&fetch(&yard.offline(), &parts).await.unwrap());
        assert_eq!(yard.files.requests(), before + 1);
        let reports = yard.store().verify(&parts[0].1).await.unwrap();
        assert!(reports.len() == 2 && reports.iter().all(|report| report.state == FileState::Whole), "{reports:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_changed_brings_the_new_model_and_one_that_is_down_does_no_harm() {
    let yard = Yard::stocked();
    let parts = part("gs://models/tiny");
    let old = fetch(&yard.store(), &parts).await.unwrap();
    yard.files.put("models/tiny/config.json", "{\"a\":2}");
    let new = fetch(&yard.store(), &parts).await.unwrap();
    assert_ne!(old.parts["model"].commit, new.parts["model"].commit);
    assert_eq!(&*new.files.open("model", "config.json").unwrap(), b"{\"a\":2}");
    assert_eq!(yard.files.downloads(&format!("models/tiny/{WEIGHTS}")), 1, "what stayed the same is kept");
    yard.files.fail_next(100, 403);
    assert_eq!(fetch(&yard.store(), &parts).await.unwrap().parts["model"].commit, new.parts["model"].commit);
}

#[tokio::test]
async fn what_a_bucket_does_not_have_or_give_is_named() {
    let yard = Yard::stocked();
    let error = fetch(&yard.store(), &part("gs://models/none")).await.unwrap_err();
    assert!(error.permanent() && error.to_string().contains("gs://models/none"), "{error}");
    yard.files.fail_next(100, 403);
    let error = fetch(&yard.store(), &part("s3://models/tiny")).await.unwrap_err();
    assert!(error.permanent() && error.to_string().contains("remote.s3"), "{error}");
    let error = fetch(&yard.offline(), &part("gs://models/tiny")).await.unwrap_err();
    assert!(error.to_string().contains("offline = true"), "{error}");
}

#[tokio::test]
async fn a_pinned_file_of_the_web_is_fetched_once() {
    let yard = Yard::stocked();
    let parts = yard.pinned(&format!("models/tiny/{WEIGHTS}"));
    let weights_only = |_: &str, listing: &[String]| Ok(listing.to_vec());
    yard.files.truncate_next(100_000);
    let fetched = yard.store().fetch(&parts, &weights_only, &|_| {}).await.unwrap();
    assert_eq!(&*fetched.files.open("model", WEIGHTS).unwrap(), weights());
    let before = yard.files.requests();
    yard.store().fetch(&parts, &weights_only, &|_| {}).await.unwrap();
    assert_eq!(yard.files.requests(), before, "pinned and complete: nobody is asked");
}

#[tokio::test]
async fn another_file_than_the_pinned_one_is_refused() {
    let yard = Yard::stocked();
    let parts = yard.pinned("models/tiny.zip");
    yard.files.put("models/tiny.zip", zipped("other/"));
    let error = fetch(&yard.store(), &parts).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(yard.store().local(&parts, &choose).unwrap().is_none());
    yard.files.put("models/tiny.zip", zipped("tiny/"));
    assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
}

#[tokio::test]
async fn an_archive_is_unpacked_and_its_top_folder_forgotten() {
    for top in ["", "tiny/"] {
        let yard = Yard::new();
        yard.files.put("models/tiny.zip", zipped(top));
        let parts = yard.pinned("models/tiny.zip");
        assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
        assert_whole(&yard.store().local(&parts, &choose).unwrap().unwrap());
        assert_eq!(fs::read_dir(yard.folder().join("blobs")).unwrap().count(), 0, "the archive itself is not kept");
        let before = yard.files.requests();
        assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
        assert_eq!(yard.store().peek(&parts[0].1, "README.md", &|_| {}).await.unwrap(), b"no");
        assert_eq!(yard.files.requests(), before);
        let reports = yard.store().verify(&parts[0].1).await.unwrap();
        assert!(reports.len() == 3 && reports.iter().all(|report| report.state == FileState::Whole), "{reports:?}");
    }
}

#[tokio::test]
async fn an_archive_of_a_bucket_is_asked_about_and_fetched_when_it_changed() {
    let yard = Yard::stocked();
    let parts = part("gs://models/tiny.zip");
    let config = yard.store().peek(&parts[0].1, "config.json", &|_| {}).await.unwrap();
    assert_eq!(config, b"{\"a\":1}");
    assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
    assert_eq!(yard.files.downloads("models/tiny.zip"), 1);
    yard.files.put("models/tiny.zip", zipped("renamed/"));
    assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
    assert_eq!(yard.files.downloads("models/tiny.zip"), 2);
    yard.files.fail_next(100, 503);
    assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
}

#[tokio::test]
async fn an_archive_that_means_no_good_leaves_nothing() {
    let yard = Yard::new();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["config.json", "../../../../escaped"] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(b"{}").unwrap();
    }
    yard.files.put("bad.zip", zip.finish().unwrap().into_inner());
    let parts = yard.pinned("bad.zip");
    let error = fetch(&yard.store(), &parts).await.unwrap_err();
    assert!(error.permanent() && error.to_string().contains("could leave its folder"), "{error}");
    assert!(yard.store().local(&parts, &choose).unwrap().is_none());
    assert!(!yard.folder().join("snapshots").exists());
    assert_eq!(fs::read_dir(yard.folder().join("blobs")).unwrap().count(), 0);
    let left = fs::read_dir(yard.folder().join(".sconce")).unwrap().flatten();
    assert!(left.map(|entry| entry.file_name()).all(|name| !name.to_string_lossy().starts_with("unpacking")));
}

/// With a megabyte beside the model that packs into nothing.
fn tar_gz() -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, bytes) in [("config.json", b"{\"a\":1}".to_vec()), (WEIGHTS, weights()), ("zeros", vec![0; 1_000_000])] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn what_an_archive_unfolds_into_needs_room_as_well() {
    let yard = Yard::new();
    yard.files.put("tiny.tar.gz", tar_gz());
    let (parts, packed) = (yard.pinned("tiny.tar.gz"), yard.files.get("tiny.tar.gz").unwrap().0.len() as u64);
    let quota = |quota| yard.of(Config { quota: Some(quota), ..yard.config() });

    let error = fetch(&quota(2 * packed - 1), &parts).await.unwrap_err();
    assert!(matches!(error, StoreError::OverQuota { need, .. } if need == 2 * packed), "{error}");
    assert!(!yard.cache().exists(), "before the first byte");

    let error = fetch(&quota(1_300_000), &parts).await.unwrap_err();
    assert!(matches!(error, StoreError::OverQuota { need: 1_300_007, used, .. } if used == packed), "{error}");
    assert!(!error.permanent() && yard.store().local(&parts, &choose).unwrap().is_none());
    assert!(!yard.folder().join("snapshots").exists(), "before the first file");

    let before = yard.files.downloads("tiny.tar.gz");
    assert_whole(&fetch(&quota(1_300_007 + packed), &parts).await.unwrap());
    assert_eq!(yard.files.downloads("tiny.tar.gz"), before + 1, "only asked about: the archive itself was whole");
    assert_eq!(fs::read_dir(yard.folder().join("blobs")).unwrap().count(), 0, "and is gone");
}

#[tokio::test]
async fn to_look_into_an_archive_shows_its_progress_and_obeys_the_quota() {
    let yard = Yard::new();
    yard.files.put("tiny.tar.gz", tar_gz());
    let (parts, packed) = (yard.pinned("tiny.tar.gz"), yard.files.get("tiny.tar.gz").unwrap().0.len() as u64);
    let small = yard.of(Config { quota: Some(packed), ..yard.config() });
    let error = small.peek(&parts[0].1, "config.json", &|_| {}).await.unwrap_err();
    assert!(matches!(error, StoreError::OverQuota { .. }) && !yard.cache().exists(), "{error}");
    let seen = Mutex::new(Vec::new());
    let see = |progress| seen.lock().unwrap().push(progress);
    assert_eq!(yard.store().peek(&parts[0].1, "config.json", &see).await.unwrap(), b"{\"a\":1}");
    let seen = seen.into_inner().unwrap();
    assert_eq!((seen[0].phase, seen[0].bytes_total), (Phase::Resolving, 0));
    let last = seen.last().unwrap();
    assert_eq!((last.phase, last.bytes_done, last.bytes_total), (Phase::Unpacking, packed, packed));
    let before = yard.files.requests();
    assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
    assert_eq!(yard.files.requests(), before, "all of it is here");
}

#[tokio::test]
async fn an_unpack_that_was_killed_is_not_there_and_ends_whole_the_next_time() {
    let yard = Yard::stocked();
    let parts = yard.pinned("models/tiny.zip");
    assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
    // As if the process had ended between the rename and the manifest.
    let repo = CachedRepo::of(&parts[0].1).unwrap();
    let (dir, commit) = (layout::RepoDir::new(&yard.cache(), &repo), repo.pinned.clone().unwrap());
    let unfinished = manifest::Manifest::new(&repo.name, &commit, vec!["tiny.zip".to_owned()]);
    unfinished.write(&dir.manifest(&commit)).unwrap();
    fs::write(dir.snapshot(&commit).join(WEIGHTS), "half").unwrap();
    assert!(yard.store().local(&parts, &choose).unwrap().is_none());
    assert!(yard.offline().peek(&parts[0].1, "config.json", &|_| {}).await.is_err());
    assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
    fs::remove_file(dir.manifest(&commit)).unwrap();
    assert!(yard.store().local(&parts, &choose).unwrap().is_none(), "without a manifest it is not there");
    assert_whole(&fetch(&yard.store(), &parts).await.unwrap());
}

#[tokio::test]
async fn parts_of_one_model_come_from_several_sources() {
    let yard = Yard::stocked();
    let mut parts = yard.pinned("models/tiny.zip");
    parts.push(("codec".to_owned(), "gs://models/tiny".parse().unwrap()));
    parts.push(("speaker".to_owned(), "embedded:nano".parse().unwrap()));
    let each = |part: &str, listing: &[String]| match part {
        "speaker" => Ok(vec!["config.json".to_owned()]),
        _ => choose(part, listing),
    };
    let fetched = yard.store().fetch(&parts, &each, &|_| {}).await.unwrap();
    for part in ["model", "codec"] {
        assert_eq!(&*fetched.files.open(part, WEIGHTS).unwrap(), weights());
    }
    assert_eq!(fetched.parts.values().filter(|part| part.commit.is_some()).count(), 2);
    assert_eq!(&*fetched.files.open("speaker", "config.json").unwrap(), b"{}");
}
