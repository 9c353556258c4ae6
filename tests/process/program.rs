//! The built program, started with an environment of its own.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A `sconce` command without any variable of ours, with an empty cache.
pub fn sconce(cache: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sconce"));
    command
        .env_clear()
        .env("HF_HUB_CACHE", cache.path())
        .env("SCONCE_SERVER__HOST", "127.0.0.1")
        .current_dir(cache.path());
    command
}

/// A command's output as text: standard output, standard error, exit code.
pub fn outcome(command: &mut Command) -> (String, String, i32) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr), status.code().unwrap())
}

/// A server that runs.
pub struct Program {
    child: Child,
    log: BufReader<ChildStderr>,
    pub address: String,
    /// The log lines that were read so far.
    pub heard: Vec<Value>,
}

impl Program {
    /// Starts it, and waits for the log line that names its address.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut program = Self { child, log, address: String::new(), heard: Vec::new() };
        program.address = program.line("listening")["address"].as_str().unwrap().to_owned();
        program
    }

    /// The next log line with this message.
    pub fn line(&mut self, message: &str) -> Value {
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            let value: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            self.heard.push(value.clone());
            if value["message"] == message {
                return value;
            }
            line.clear();
        }
        panic!("the log ended without {message:?}");
    }

    /// What stands on standard error beyond what was read, when the program has ended.
    pub fn last_words(&mut self) -> String {
        let mut words = String::new();
        self.log.read_to_string(&mut words).unwrap();
        words
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    pub fn hang_up(&self) {
        self.signal(libc::SIGHUP);
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: a signal to a child that has not been waited for, so that its number is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Waits for the end.
    #[expect(clippy::disallowed_methods, reason = "the standard library waits for a child without a bound")]
    pub fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the program does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
