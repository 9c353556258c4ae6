//! The program as a process of its own: text goes in, sound comes out, and nothing is left of it when nobody listens.

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::process::{Pid, WaitId, WaitIdOptions};

use super::wave::WaveReader;
use crate::{audio::Pcm, model::Signal};

/// Bytes of sound that are read at once: a third of a second.
const BLOCK: usize = 16 << 10;
/// Blocks that are read ahead of who takes them.
const AHEAD: usize = 8;
/// Bytes that a process may map: espeak-ng has 30 MB of them, its voices among these.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 1 << 30;
/// Bytes of what it complains of, as far as that is told.
const COMPLAINT: u64 = 300;
/// For an answer, on a machine that has much else to do.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer, at most; the list of voices of espeak-ng 1.51 has 11 000.
const LONGEST_ANSWER: u64 = 1 << 20;
/// Where a script that stands for the program finds what it needs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A process, which ends with this, and whatever it began with it.
pub struct Process(Arc<Shared>);

/// What it shares with who waits for it.
struct Shared {
    pid: Pid,
    /// Locked for a signal, and for the look at a process that has ended.
    state: Mutex<State>,
}

struct State {
    child: Child,
    /// Its number may be another's by now.
    reaped: bool,
}

/// Its ends of pipes.
pub struct Pipes {
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

/// A text that a process is speaking. Dropping it ends the process.
pub struct Utterance {
    pub pieces: Receiver<Piece>,
    _process: Process,
}

/// What comes of it.
#[derive(Debug)]
pub enum Piece {
    Sound(Pcm),
    /// Once, last; an error says why it is not whole.
    End(Result<(), String>),
}

/// A process of its own group, without anything of our environment, so that it learns no secret and ends as a whole.
pub fn alone(command: &mut Command) -> &mut Command {
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", PATH).current_dir("/").process_group(0)
}

/// What the program writes in answer to a command line and to a text, where it reads one, within bounds of time and size.
pub fn answer(program: &Path, arguments: &[&str], text: Option<String>) -> Result<String, String> {
    let mut command = Command::new(program);
    let stdin = if text.is_some() { Stdio::piped() } else { Stdio::null() };
    command.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null());
    let (process, pipes) = Process::start(alone(&mut command)).map_err(|error| error.to_string())?;
    let (sender, received) = mpsc::sync_channel(1);
    let shared = process.0.clone();
    let read = move || {
        let mut bytes = Vec::new();
        // Who does not read to the end says by its status why.
        let _ = pipes.stdin.zip(text).map_or(Ok(()), |(mut stdin, text)| stdin.write_all(text.as_bytes()));
        let read = pipes.stdout.map_or(Ok(0), |stdout| stdout.take(LONGEST_ANSWER + 1).read_to_end(&mut bytes));
        let ended = match bytes.len() as u64 > LONGEST_ANSWER {
            true => Err(format!("it says more than {LONGEST_ANSWER} bytes")),
            false => read.and_then(|_| shared.ended()).map_err(|error| error.to_string()),
        };
        // Who asked may have given up.
        let _ = sender.send(ended.and_then(|status| match status.success() {
            true => Ok(bytes),
            false => Err(status.to_string()),
        }));
    };
    thread::Builder::new().name("espeak-ng".to_owned()).spawn(read).map_err(|error| error.to_string())?;
    let silent = |_| Err(format!("it says nothing for {} s", ANSWER_PATIENCE.as_secs()));
    let bytes = received.recv_timeout(ANSWER_PATIENCE).unwrap_or_else(silent)?;
    String::from_utf8(bytes).map_err(|_| "it says what is no text".to_owned())
}

// === impl Process ===

impl Process {
    pub fn start(command: &mut Command) -> io::Result<(Self, Pipes)> {
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let pipes = Pipes { stdin: child.stdin.take(), stdout: child.stdout.take(), stderr: child.stderr.take() };
        let process = Self(Arc::new(Shared { pid, state: Mutex::new(State { child, reaped: false }) }));
        limit(pid)?;
        Ok((process, pipes))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(target_os = "linux")]
fn limit(pid: Pid) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};
    let memory = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    match prlimit(Some(pid), Resource::As, memory) {
        // It is over already.
        Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Elsewhere a process cannot be bounded from outside.
#[cfg(not(target_os = "linux"))]
fn limit(_pid: Pid) -> io::Result<()> {
    Ok(())
}

// === impl Shared ===

impl Shared {
    /// Kills it and what it began, and waits for it, which then takes no time.
    fn end(&self) {
        let mut state = self.state.lock();
        if !state.reaped {
            // Those that are gone already need no signal.
            let _ = rustix::process::kill_process_group(self.pid, rustix::process::Signal::KILL);
            let _ = state.child.wait();
            state.reaped = true;
        }
    }

    /// How it ended, once it has.
    fn ended(&self) -> io::Result<ExitStatus> {
        // Without the lock, so that it can be killed meanwhile; and without taking its number from it.
        let _ = rustix::process::waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let mut state = self.state.lock();
        let status = state.child.wait()?;
        state.reaped = true;
        Ok(status)
    }
}

// === impl Utterance ===

impl Utterance {
    /// Has the program speak a text. `signal` is raised whenever there is a piece.
    pub fn start(program: &Path, arguments: &[String], text: String, signal: Arc<Signal>) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (process, pipes) = Process::start(alone(&mut command))?;
        let (sender, pieces) = mpsc::sync_channel(AHEAD);
        let listener = Listener { process: process.0.clone(), sender, signal };
        thread::Builder::new().name("espeak-ng".to_owned()).spawn(move || listener.run(&text, pipes))?;
        Ok(Self { pieces, _process: process })
    }
}

/// Waits for what a process says, on a thread that has nothing else to do.
struct Listener {
    process: Arc<Shared>,
    sender: SyncSender<Piece>,
    signal: Arc<Signal>,
}

/// Nobody takes what is read any more.
struct Left;

// === impl Listener ===

impl Listener {
    fn run(self, text: &str, pipes: Pipes) {
        let Pipes { stdin, stdout, stderr } = pipes;
        // Who does not read to the end says by its status why.
        let _ = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
        let heard = stdout.map_or(Ok(Ok(())), |stdout| self.hear(stdout));
        if let Ok(heard) = heard {
            let end = heard.and_then(|()| self.end(stderr));
            // Who left needs no end.
            let _ = self.send(Piece::End(end));
        }
    }

    fn hear(&self, mut stdout: ChildStdout) -> Result<Result<(), String>, Left> {
        let (mut reader, mut block) = (WaveReader::default(), vec![0; BLOCK]);
        loop {
            let read = match stdout.read(&mut block) {
                Ok(0) => return Ok(Ok(())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error.to_string())),
            };
            match reader.push(&block[..read]) {
                Ok(Some((rate, samples))) => self.send(Piece::Sound(Pcm::new(samples, rate)))?,
                Ok(None) => {}
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
    }

    fn end(&self, stderr: Option<ChildStderr>) -> Result<(), String> {
        let status = self.process.ended().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        let mut complaint = Vec::new();
        // What it does not say is not needed.
        let _ = stderr.map_or(Ok(0), |stderr| stderr.take(COMPLAINT).read_to_end(&mut complaint));
        Err(format!("{status}: {}", String::from_utf8_lossy(&complaint).trim()))
    }

    fn send(&self, piece: Piece) -> Result<(), Left> {
        let sent = self.sender.send(piece).map_err(|_| Left);
        self.signal.raise();
        sent
    }
}
