//! One process, and the way in which it ends.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group};

/// Where a script that stands for a program finds what it needs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Between two looks whether a process has ended.
const LOOK: Duration = Duration::from_millis(2);

/// A process, which ends with this, and whatever is in its group with it.
pub struct Process(Arc<Shared>);

/// What somebody has who only waits for the end of a process.
#[derive(Clone)]
pub struct Ending(Arc<Shared>);

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

/// What a process may take.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChildLimits {
    /// Bytes that it may map; `None`: any.
    pub mapped: Option<u64>,
}

/// A process of its own group, without anything of our environment, so that it learns no secret and ends as a whole.
pub fn alone(command: &mut Command) -> &mut Command {
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", PATH).current_dir("/").process_group(0)
}

/// Kills all of a group.
pub fn kill_group(leader: u32) {
    if let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // Those that are gone already need no signal.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Asks a process to end.
pub fn ask_to_end(process: u32) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // As above.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Lets others have the processor first: for what nobody waits for.
pub fn lower_priority(process: u32) {
    const NICENESS: i32 = 10;
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // One that is gone already needs none.
        let _ = rustix::process::setpriority_process(Some(pid), NICENESS);
    }
}

// === impl Process ===

impl Process {
    pub fn start(command: &mut Command, limits: ChildLimits) -> io::Result<(Self, Pipes)> {
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let pipes = Pipes { stdin: child.stdin.take(), stdout: child.stdout.take(), stderr: child.stderr.take() };
        let process = Self(Arc::new(Shared { pid, state: Mutex::new(State { child, reaped: false }) }));
        limits.apply(pid)?;
        Ok((process, pipes))
    }

    pub fn id(&self) -> u32 {
        self.0.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub fn ending(&self) -> Ending {
        Ending(self.0.clone())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.end();
    }
}

// === impl Ending ===

impl Ending {
    /// Waits for it: how it ended.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        self.0.ended()
    }

    /// How it ended, if it has or does so within a time.
    #[expect(
        clippy::disallowed_methods,
        reason = "for who waits for no more than moments, where nothing else tells of it"
    )]
    pub fn within(&self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            let ended = self.0.has_ended();
            if ended.is_some() || Instant::now() >= until {
                return ended;
            }
            thread::sleep(LOOK);
        }
    }

    /// Asks it to end, and kills it and its group if it does not so within a time.
    pub fn end(&self, patience: Duration) {
        self.0.ask_to_end();
        if self.within(patience).is_none() {
            self.0.end();
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Kills it and its group, and waits for it, which then takes no time.
    fn end(&self) {
        let mut state = self.state.lock();
        if !state.reaped {
            // Those that are gone already need no signal.
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = state.child.wait();
            state.reaped = true;
        }
    }

    fn ask_to_end(&self) {
        let state = self.state.lock();
        if !state.reaped {
            // As above.
            let _ = kill_process(self.pid, Signal::TERM);
        }
    }

    fn has_ended(&self) -> Option<ExitStatus> {
        let mut state = self.state.lock();
        let status = state.child.try_wait().ok().flatten();
        state.reaped |= status.is_some();
        status
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

// === impl ChildLimits ===

impl ChildLimits {
    #[cfg(target_os = "linux")]
    fn apply(self, pid: Pid) -> io::Result<()> {
        use rustix::process::{Resource, Rlimit, prlimit};
        let Some(bytes) = self.mapped else { return Ok(()) };
        match prlimit(Some(pid), Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) }) {
            // It is over already.
            Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Elsewhere a process cannot be bounded from outside.
    #[cfg(not(target_os = "linux"))]
    fn apply(self, _pid: Pid) -> io::Result<()> {
        Ok(())
    }
}
