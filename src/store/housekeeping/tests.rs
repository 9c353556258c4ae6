//! Caches that we and the Python tools filled, and what goes of them.

use std::{os::unix::fs::symlink, path::PathBuf, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::store::{
    files::write_whole,
    layout::RepoDir,
    manifest::{Entry, Manifest},
    pins::CommitPin,
};

const FOLDER: &str = "models--acme--tiny";

/// A cache with one repository.
struct Yard(TempDir);

impl Yard {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn repo(&self) -> PathBuf {
        self.0.path().join(FOLDER)
    }

    fn blob(&self, name: &str) -> PathBuf {
        self.repo().join("blobs").join(name)
    }

    /// A commit whose files link to blobs of 100 bytes each.
    fn commit(&self, commit: &str, blobs: &[&str]) -> &Self {
        let snapshot = self.repo().join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        for blob in blobs {
            write_whole(&self.blob(blob), &[7; 100]).unwrap();
            symlink(Path::new("../../blobs").join(blob), snapshot.join(format!("{blob}.bin"))).unwrap();
        }
        self
    }

    /// One that we fetched, last used so many hours ago.
    fn ours(&self, commit: &str, blobs: &[&str], hours: u64) -> &Self {
        let mut manifest = Manifest::new("acme/tiny", commit, Vec::new());
        let entry = |blob: &&str| (format!("{blob}.bin"), Entry { size: 100, sha256: String::new() });
        manifest.files.extend(blobs.iter().map(entry));
        manifest.write(&self.repo().join(".sconce").join(format!("{commit}.json"))).unwrap();
        self.commit(commit, blobs).age(&format!(".sconce/{commit}.used"), hours)
    }

    /// A file that was last written so long ago.
    fn age(&self, file: &str, hours: u64) -> &Self {
        let path = self.repo().join(file);
        if !path.exists() {
            write_whole(&path, b"").unwrap();
        }
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
        self
    }

    fn look(&self) -> Cache {
        Cache::look(self.0.path()).unwrap()
    }

    fn commits(&self) -> Vec<String> {
        self.look().models().iter().flat_map(|model| &model.commits).map(|commit| commit.commit.clone()).collect()
    }

    fn remove(&self, commit: &str, dry: bool) -> Cleared {
        let doomed = Doomed { folder: FOLDER.to_owned(), commit: commit.to_owned() };
        self.look().remove(&[doomed], dry).unwrap()
    }
}

#[test]
fn a_shared_blob_is_counted_once() {
    let yard = Yard::new();
    yard.ours("one", &["a", "b"], 1).commit("two", &["b", "c"]);
    write_whole(&yard.repo().join("refs/main"), b"two").unwrap();
    let models = yard.look().models();
    let [model] = models.as_slice() else { panic!("{models:?}") };
    assert_eq!((model.name.as_str(), model.bytes, model.waste), ("acme/tiny", 300, 0));
    let [one, two] = model.commits.as_slice() else { panic!("{model:?}") };
    assert_eq!((one.bytes, one.files, one.ours, one.in_use), (200, 2, true, false));
    assert_eq!((two.refs.clone(), two.ours, two.last_used), (vec!["main".to_owned()], false, None));
    assert!(one.last_used.is_some());
}

#[test]
fn what_another_snapshot_links_to_stays() {
    let yard = Yard::new();
    yard.ours("one", &["a", "b"], 1).commit("two", &["b", "c"]);
    write_whole(&yard.repo().join("refs/main"), b"one").unwrap();
    let dry = yard.remove("one", true);
    assert_eq!((dry.bytes, dry.commits.as_slice()), (100, ["acme/tiny@one".to_owned()].as_slice()));
    assert_eq!(yard.commits(), ["one", "two"], "nothing went yet");
    assert_eq!(yard.remove("one", false), dry);
    assert_eq!(yard.commits(), ["two"]);
    assert!(!yard.blob("a").exists() && yard.blob("b").exists() && !yard.repo().join("refs/main").exists());
    assert!(!yard.repo().join(".sconce/one.used").exists());
    yard.remove("two", false);
    assert!(!yard.repo().exists(), "nothing is left of it");
}

#[test]
fn what_was_computed_of_a_commit_counts_with_it_and_goes_with_it() {
    let yard = Yard::new();
    yard.ours("one", &["a"], 1).ours("two", &["b"], 1);
    let of = |commit: &str, name: &str| RepoDir::at(&yard.repo()).derived(commit).join(name);
    for (commit, name) in [("one", "a.q8"), ("one", "a.0.part"), ("one", "a.1.part"), ("gone", "a.q8")] {
        write_whole(&of(commit, name), &[7; 1000]).unwrap();
    }
    yard.age(".sconce/one.derived/a.0.part", 9);
    let cleared = yard.look().collect(false).unwrap();
    assert_eq!((cleared.files, cleared.bytes), (2, 2000));
    assert!(!of("one", "a.0.part").exists() && of("one", "a.1.part").exists() && !of("gone", "").exists());
    let [model] = &yard.look().models()[..] else { panic!("one model") };
    assert_eq!((model.bytes, model.waste), (2200, 0));
    let bytes = model.commits.iter().map(|commit| (commit.bytes, commit.files)).collect::<Vec<_>>();
    assert_eq!(bytes, [(2100, 1), (100, 1)]);
    assert_eq!(yard.remove("one", false).bytes, 2100);
    assert!(!of("one", "").exists() && yard.commits() == ["two"]);
}

#[tokio::test]
async fn what_is_loaded_or_being_written_stays() {
    let yard = Yard::new();
    yard.ours("one", &["a"], 9).ours("two", &["b"], 5);
    let pin = CommitPin::of(std::iter::once(yard.repo().join("snapshots/one/a.bin").as_path()));
    assert!(yard.look().models()[0].commits[0].in_use);
    assert_eq!(yard.remove("one", false).kept, ["acme/tiny@one"]);
    assert_eq!(yard.look().shrink(0, false).unwrap().commits, ["acme/tiny@two"]);
    drop(pin);
    let lock = crate::store::download_lock::DownloadLock::acquire(&RepoDir::at(&yard.repo()), |_, _| {}).await.unwrap();
    assert_eq!(yard.remove("one", false).kept, ["acme/tiny@one"]);
    assert!(yard.look().shrink(0, false).unwrap().commits.is_empty());
    drop(lock);
    assert_eq!(yard.look().shrink(0, false).unwrap().commits, ["acme/tiny@one"]);
}

#[test]
fn the_one_that_was_not_used_for_longest_goes_first_and_others_tools_keep_theirs() {
    let yard = Yard::new();
    yard.ours("new", &["a"], 1).ours("old", &["b"], 9).ours("older", &["c"], 10).commit("python", &["d"]);
    assert_eq!(yard.look().bytes(), 400);
    assert!(yard.look().shrink(400, false).unwrap().commits.is_empty());
    let dry = yard.look().shrink(250, true).unwrap();
    assert_eq!(
        (dry.bytes, dry.commits.as_slice()),
        (200, ["acme/tiny@older", "acme/tiny@old"].map(String::from).as_slice())
    );
    assert_eq!(yard.look().shrink(250, false).unwrap(), dry);
    assert_eq!(yard.look().shrink(0, false).unwrap().commits, ["acme/tiny@new"]);
    assert_eq!(yard.commits(), ["python"]);
}

#[test]
fn what_no_commit_needs_is_collected() {
    let yard = Yard::new();
    yard.ours("one", &["a"], 1);
    for (file, hours) in [
        ("blobs/dangling", 2),
        ("blobs/just-arrived", 0),
        ("blobs/b.123.part", 30),
        ("blobs/c.123.part", 1),
        ("blobs/d.incomplete", 100),
        (".sconce/quarantine/e", 0),
    ] {
        write_whole(&yard.repo().join(file), &[1; 10]).unwrap();
        yard.age(file, hours);
    }
    fs::create_dir_all(yard.repo().join(".sconce/unpacking-now")).unwrap();
    assert_eq!(yard.look().models()[0].waste, 50);
    let dry = yard.look().collect(true).unwrap();
    assert_eq!((dry.bytes, dry.files), (30, 3));
    assert_eq!(yard.look().collect(false).unwrap(), dry);
    let left = |file: &str| yard.repo().join(file).exists();
    assert!(!left("blobs/dangling") && !left("blobs/b.123.part") && !left(".sconce/quarantine/e"));
    assert!(left("blobs/just-arrived"), "a snapshot may link to it in a moment");
    assert!(left("blobs/c.123.part"), "it may be gone on with");
    assert!(left("blobs/d.incomplete"), "it is another tool's");
    assert!(left("blobs/a") && left(".sconce/unpacking-now"));
}

#[test]
fn an_unpack_that_was_killed_is_collected_when_it_is_old() {
    let yard = Yard::new();
    yard.ours("one", &["a"], 1);
    let folder = yard.repo().join(".sconce/unpacking-x");
    write_whole(&folder.join("m/w"), &[1; 10]).unwrap();
    yard.age(".sconce/unpacking-x/m/w", 2);
    let old = rustix::fs::Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: old, last_modification: old };
    for dir in [folder.join("m"), folder.clone()] {
        rustix::fs::utimensat(rustix::fs::CWD, &dir, &times, rustix::fs::AtFlags::empty()).unwrap();
    }
    assert_eq!(yard.look().collect(false).unwrap(), Cleared { bytes: 10, files: 1, ..Cleared::default() });
    assert!(!folder.exists());
}

#[test]
fn a_cache_that_is_not_there_is_empty() {
    let dir = TempDir::new().unwrap();
    let mut cache = Cache::look(&dir.path().join("none")).unwrap();
    assert_eq!((cache.models().len(), cache.collect(false).unwrap()), (0, Cleared::default()));
    fs::write(dir.path().join("version.txt"), "1").unwrap();
    fs::create_dir(dir.path().join(".locks")).unwrap();
    assert_eq!(Cache::look(dir.path()).unwrap().models().len(), 0);
}
