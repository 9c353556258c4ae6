//! Models that are programs in Python, in folders of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{ServerBuilder, checkout};

/// Where tests find programs: Python needs nothing that is not part of it.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A folder with a program and what it needs.
pub struct Worker {
    folder: TempDir,
}

// === impl Worker ===

impl Worker {
    /// One of `tests/fixtures/worker`, with what follows it on its command line.
    pub fn new(script: &str, arguments: &[&str], tasks: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let worker = Self { folder };
        worker.put("worker.py", &fs::read(checkout("tests/fixtures/worker").join(script)).unwrap());
        let command: Vec<&str> = ["python3", "worker.py"].iter().chain(arguments).copied().collect();
        worker.put("sconce-worker.toml", format!("command = {command:?}\ntasks = {tasks:?}\n").as_bytes());
        worker
    }

    /// One of `examples/worker`.
    pub fn example(name: &str) -> Self {
        let worker = Self { folder: TempDir::new().unwrap() };
        for file in ["worker.py", "sconce-worker.toml"] {
            worker.put(file, &fs::read(checkout("examples/worker").join(name).join(file)).unwrap());
        }
        worker
    }

    pub fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
        let package = self.folder.path().join("sconce_worker.py");
        fs::copy(checkout("examples/worker/sconce_worker.py"), package).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Of the lines that `sha256sum` writes for all of its files.
    pub fn sha256(&self) -> String {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
        files.sort();
        let mut all = Sha256::new();
        for path in files {
            let sum = hex::encode(Sha256::digest(fs::read(&path).unwrap()));
            all.update(format!("{sum}  {}\n", path.file_name().unwrap().display()));
        }
        hex::encode(all.finalize())
    }

    /// What the configuration says of it, as the model `name`.
    pub fn settings(&self, name: &str) -> Vec<(String, String)> {
        let setting = |key: &str, value: String| (format!("SCONCE_MODELS__{}__{key}", name.to_uppercase()), value);
        let source = format!("file:{}", self.folder.path().display());
        vec![setting("SOURCE", source), setting("WORKER_SHA256", self.sha256())]
    }

    /// Adds it to a server.
    pub fn of(&self, builder: ServerBuilder, name: &str) -> ServerBuilder {
        let builder = self.settings(name).iter().fold(builder, |builder, (name, value)| builder.env(name, value));
        builder.env("PATH", PATH).env("SCONCE_WORKERS__GUARD", env!("CARGO_BIN_EXE_sconce"))
    }

    /// The processes that run in its folder.
    pub fn processes(&self) -> Vec<u32> {
        let here = self.folder.path().canonicalize().unwrap();
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let is_here = |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == here);
        pids.filter(is_here).collect()
    }

    /// Waits until nothing of it is left.
    #[expect(clippy::disallowed_methods, reason = "nobody tells when the children of others have gone")]
    pub fn assert_gone(&self) {
        let start = Instant::now();
        while !self.processes().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(30), "{:?} are left", self.processes());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
