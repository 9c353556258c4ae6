//! A program as a process: what is said to it, what it says, and whether it still lives and keeps within its bounds.

use std::{
    io::{self, BufReader},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    frame::{self, Frame},
    log,
    message::{Answer, WorkerRequest},
    plan::Plan,
};
use crate::{
    model::{LoadError, Outside, Signal, WorkerChoice, WorkerRules},
    process::{self, ChildLimits, Ending, GUARD_FAILED, Pipes, Process, ProcessId, alone},
};

/// Messages of the program that are read ahead of who takes them.
const AHEAD: usize = 32;
/// Messages to the program that wait to be written.
const BEHIND: usize = 64;
/// Bytes that the pipes hold: a job's sound is written at once.
#[cfg(target_os = "linux")]
const PIPE: usize = 1 << 20;
/// Between two looks at its memory.
const LOOK: Duration = Duration::from_millis(250);
/// Between two questions whether it lives, while it has nothing to do.
const PING: Duration = Duration::from_secs(10);
/// For it to end by itself.
const GOODBYE: Duration = Duration::from_secs(1);
/// For the guard to end all that is left.
const END: Duration = Duration::from_secs(3);

/// A process, which ends with this, and all that it began with it.
pub struct Child {
    /// `None` once it is told to end.
    to: Option<SyncSender<Frame>>,
    from: Receiver<Said>,
    watched: Arc<Watched>,
    process: Process,
    /// Dropped, it ends the one who watches.
    _stop: SyncSender<()>,
}

/// What comes of it.
#[derive(Debug)]
pub enum Said {
    /// With its sound, and the bytes that all of it took.
    Answer(Answer, Vec<u8>, usize),
    /// Once, last: why.
    Over(String),
}

/// What its threads share.
struct Watched {
    outside: Arc<Outside>,
    /// Woken when it says something.
    listener: Mutex<Option<Arc<Signal>>>,
    /// Why we ended it, if we did.
    doom: Mutex<Option<String>>,
    /// Everything that it began, when somebody last looked.
    seen: Mutex<Vec<ProcessId>>,
    busy: AtomicBool,
    /// The number of the last answer to a ping.
    answered: AtomicU64,
}

/// Looks after a process, on a thread that has nothing else to do.
struct Watcher {
    root: u32,
    ending: Ending,
    watched: Arc<Watched>,
    to: SyncSender<Frame>,
    memory: u64,
    patience: Duration,
}

// === impl Child ===

impl Child {
    pub fn start(model: &str, plan: &Plan, choice: &WorkerChoice, rules: &WorkerRules) -> Result<Self, LoadError> {
        let failed = |error: io::Error| LoadError::Process(format!("its program could not be started: {error}"));
        let (process, pipes) =
            Process::start(&mut command(plan, choice, rules), ChildLimits::default()).map_err(failed)?;
        let Pipes { stdin: Some(stdin), stdout: Some(stdout), stderr } = pipes else {
            return Err(LoadError::Process("its program has no pipes".to_owned()));
        };
        widen(&stdin, &stdout);
        let watched = Arc::new(Watched {
            outside: Arc::default(),
            listener: Mutex::default(),
            doom: Mutex::default(),
            seen: Mutex::default(),
            busy: AtomicBool::new(true),
            answered: AtomicU64::new(0),
        });
        let ((to, written), (said, from)) = (mpsc::sync_channel(BEHIND), mpsc::sync_channel(AHEAD));
        let (stop, stopped) = mpsc::sync_channel(0);
        let watcher = Watcher {
            root: process.id(),
            ending: process.ending(),
            watched: watched.clone(),
            to: to.clone(),
            memory: choice.memory.unwrap_or(rules.memory),
            patience: rules.piece_timeout,
        };
        let named = |what: &str| thread::Builder::new().name(format!("worker-{what}"));
        if let Some(stderr) = stderr {
            let (model, outside) = (model.to_owned(), watched.outside.clone());
            named("log").spawn(move || log::copy(&model, stderr, &outside)).map_err(failed)?;
        }
        named("write").spawn(move || write(stdin, &written)).map_err(failed)?;
        let (listened, ending) = (watched.clone(), process.ending());
        named("read").spawn(move || read(stdout, &said, &listened, &ending)).map_err(failed)?;
        named("watch").spawn(move || watcher.run(&stopped)).map_err(failed)?;
        Ok(Self { to: Some(to), from, watched, process, _stop: stop })
    }

    /// Says something, if it listens fast enough. Otherwise the time that it has for an answer will tell.
    pub fn say(&self, frame: Frame) -> Result<(), String> {
        let Some(to) = &self.to else { return Err("it was told to end".to_owned()) };
        to.try_send(frame).map_err(|_| "it does not read what it is told".to_owned())
    }

    /// The next thing that it says, if there is one.
    pub fn heard(&self) -> Option<Said> {
        match self.from.try_recv() {
            Ok(said) => Some(said),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Said::Over("nobody listens to it".to_owned())),
        }
    }

    /// The next thing that it says; `None`: nothing, until then.
    pub fn hear_until(&self, until: Instant) -> Option<Said> {
        match self.from.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(said) => Some(said),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Said::Over("nobody listens to it".to_owned())),
        }
    }

    /// Raises this whenever it says something.
    pub fn wake(&self, signal: Arc<Signal>) {
        *self.watched.listener.lock() = Some(signal);
    }

    /// It is asked whether it lives only while it has nothing to do.
    pub fn set_busy(&self, busy: bool) {
        self.watched.busy.store(busy, SeqCst);
    }

    pub fn outside(&self) -> Arc<Outside> {
        self.watched.outside.clone()
    }

    /// What it holds now.
    pub fn weigh(&self) {
        self.watched.weigh(self.process.id());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.set_busy(true);
        if let Some(to) = self.to.take()
            && self.watched.doom.lock().is_none()
        {
            // It may have gone, or not listen.
            let _ = to.try_send(WorkerRequest::Shutdown.frame(Vec::new()));
        }
        let ending = self.process.ending();
        if ending.within(GOODBYE).is_none() {
            ending.end(END);
        }
        self.watched.bury();
    }
}

/// The program behind the guard, if there is to be one.
fn command(plan: &Plan, choice: &WorkerChoice, rules: &WorkerRules) -> Command {
    let mut command = rules.guard.command(&plan.program, choice.network, None);
    alone(&mut command).args(&plan.arguments).current_dir(&plan.folder);
    // Its modules, which may be links to elsewhere; and nothing that was compiled of them before, or is to be.
    command.env("PYTHONPATH", &plan.folder).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPYCACHEPREFIX", "/dev/null");
    command.env("PYTHONUNBUFFERED", "1");
    command.envs(choice.environment.iter().filter_map(|name| Some((name, rules.environment.get(name)?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Lets pipes hold more; where that is not allowed they stay as they are.
#[cfg(target_os = "linux")]
fn widen(stdin: &ChildStdin, stdout: &ChildStdout) {
    use rustix_0::pipe::fcntl_setpipe_size;
    let _ = (fcntl_setpipe_size(stdin, PIPE), fcntl_setpipe_size(stdout, PIPE));
}

#[cfg(not(target_os = "linux"))]
fn widen(_stdin: &ChildStdin, _stdout: &ChildStdout) {}

/// Until nobody says anything any more, or it reads no more.
fn write(mut stdin: ChildStdin, said: &Receiver<Frame>) {
    while let Ok(frame) = said.recv() {
        if frame::write(&mut stdin, &frame).is_err() {
            break;
        }
    }
}

/// Until it ends, or says what makes no sense; then it is ended.
fn read(stdout: ChildStdout, to: &SyncSender<Said>, watched: &Watched, ending: &Ending) {
    let mut stdout = BufReader::with_capacity(64 << 10, stdout);
    let reason = loop {
        let said = match frame::read(&mut stdout) {
            Ok(Some(frame)) => heard(frame),
            Ok(None) => break None,
            Err(error) => Err(error.to_string()),
        };
        match said {
            Ok(Said::Answer(Answer::Pong { id }, ..)) => watched.answered.store(id, SeqCst),
            Ok(said) => match to.send(said) {
                Ok(()) => watched.raise(),
                // Nobody takes it any more.
                Err(_) => return,
            },
            Err(reason) => break Some(reason),
        }
    };
    // Who says what makes no sense is not waited for.
    let ended = if reason.is_none() { ending.within(GOODBYE) } else { None };
    let doom = watched.doom.lock().take();
    let reason = reason.or(doom).unwrap_or_else(|| match ended {
        Some(status) if status.code() == Some(GUARD_FAILED.into()) => {
            "it could not be put apart from the rest of the machine, or begun; the log says why".to_owned()
        }
        Some(status) => format!("it ended ({status})"),
        None => "it closed its output".to_owned(),
    });
    ending.end(END);
    watched.bury();
    // Who left needs no end.
    let _ = to.send(Said::Over(reason));
    watched.raise();
}

fn heard(frame: Frame) -> Result<Said, String> {
    let bytes = frame.header.len() + frame.payload.len();
    Ok(Said::Answer(Answer::read(&frame)?, frame.payload, bytes))
}

// === impl Watched ===

impl Watched {
    fn raise(&self) {
        if let Some(listener) = &*self.listener.lock() {
            listener.raise();
        }
    }

    fn weigh(&self, root: u32) -> u64 {
        let processes = process::tree(root);
        let memory = process::memory(&processes);
        self.outside.weigh(memory, processes.len());
        *self.seen.lock() = processes;
        memory
    }

    /// Kills what was seen of it and still lives: a program that killed its guard is not to get away with it.
    fn bury(&self) {
        std::mem::take(&mut *self.seen.lock()).into_iter().for_each(ProcessId::kill);
        self.outside.weigh(0, 0);
    }

    /// Has it end; the first reason counts.
    fn doom(&self, ending: &Ending, reason: String) {
        self.doom.lock().get_or_insert(reason);
        ending.end(END);
    }
}

// === impl Watcher ===

impl Watcher {
    fn run(self, stopped: &Receiver<()>) {
        let (mut number, mut asked) = (0, None::<Instant>);
        let mut next = Instant::now() + PING;
        while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let held = self.watched.weigh(self.root);
            if held == 0 {
                // It is gone, which whoever reads its output tells.
                return;
            }
            if held > self.memory {
                let reason = format!("it and what it began held {held} bytes of memory; {} is the most", self.memory);
                return self.watched.doom(&self.ending, reason);
            }
            if self.watched.busy.load(SeqCst) {
                (asked, next) = (None, Instant::now() + PING);
                continue;
            }
            match asked {
                Some(_) if self.watched.answered.load(SeqCst) >= number => {
                    (asked, next) = (None, Instant::now() + PING);
                }
                Some(since) if since.elapsed() > self.patience => {
                    let reason = format!("it did not answer a ping within {} s", self.patience.as_secs_f32());
                    return self.watched.doom(&self.ending, reason);
                }
                None if Instant::now() >= next => {
                    number += 1;
                    // Where the line is full it has been asked enough.
                    let _ = self.to.try_send(WorkerRequest::Ping { id: number }.frame(Vec::new()));
                    asked = Some(Instant::now());
                }
                _ => {}
            }
        }
    }
}
