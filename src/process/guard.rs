//! A small process between the server and a program of somebody else, which is this very program once more: it takes from
//! the other one what that does not need, and sees to it that nothing is left of it.
//!
//! Safe code cannot run between `fork` and `exec`, so what is to be done there is done by a program that then becomes the
//! other one. There are up to three of them:
//!
//! - *outer* enters namespaces where it may: of the network (there is none in it), of processes and of users. It ends all
//!   below it when the server asks it to, or when nobody reads what the worker writes any more: a server that was killed
//!   reads no pipe.
//! - *inner* is the first process of the namespace of processes. The kernel kills all others in there when it ends, and it
//!   ends with *outer*. Without that namespace *outer* is who adopts orphans (`PR_SET_CHILD_SUBREAPER`), so that it finds
//!   all of them, and there is no *inner*.
//! - *last* gives up every way to more rights, and becomes the program.

use std::{ffi::OsString, process::ExitCode};

/// The first argument of a program that is to guard another.
pub const ARGUMENT: &str = "__guard";
/// What the line begins with by which the guard says on standard error how far the program is apart.
pub const REPORT: &str = "sconce-guard: apart: ";

/// The exit code of a guard that did not come to run the program, as `env` and its like have it.
pub const GUARD_FAILED: u8 = 125;

/// Whether a program runs apart from the rest of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// As far as the system allows.
    #[default]
    Auto,
    /// Wholly, or not at all.
    Required,
    Off,
}

/// What a guard is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardOptions {
    pub isolation: Isolation,
    /// Whether the program may use the network.
    pub network: bool,
    /// Threads that there may be of it and of all that it began, the guard's own among them; `None`: any number. It holds
    /// in a namespace of users of its own alone, since elsewhere the system counts all that are of the same user.
    pub threads: Option<u64>,
}

/// The command line behind the guard's own name, up to the program, which follows with its arguments.
pub fn arguments(options: GuardOptions) -> Vec<OsString> {
    let isolation = match options.isolation {
        Isolation::Auto => "auto",
        Isolation::Required => "required",
        Isolation::Off => "off",
    };
    let network = if options.network { "network" } else { "alone" };
    let threads = options.threads.map_or("any".to_owned(), |most| most.to_string());
    [ARGUMENT, "outer", isolation, network, &threads].map(OsString::from).to_vec()
}

/// Is a guard, if the command line says so. To be called before there is any other thread.
pub fn attend(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    (arguments.next()?.to_str()? == ARGUMENT).then(|| stage(arguments.collect()))
}

#[cfg(target_os = "linux")]
use linux::stage;

/// Namespaces and signals to parents are Linux's.
#[cfg(not(target_os = "linux"))]
fn stage(_arguments: Vec<OsString>) -> ExitCode {
    ExitCode::from(GUARD_FAILED)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        ffi::{OsStr, OsString},
        fs::{self, File},
        io::{self, Write},
        os::{fd::AsFd, unix::process::CommandExt},
        path::Path,
        process::{Child, Command, ExitCode},
        thread,
        time::Duration,
    };

    use rustix::{
        io::Errno,
        process::{
            Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getgid, getuid, kill_process, set_child_subreaper,
            set_parent_process_death_signal, setrlimit, wait,
        },
    };
    use rustix_0::thread::{UnshareFlags, set_no_new_privs, unshare};
    use tokio::{
        io::Interest,
        net::unix::pipe,
        signal::unix::{SignalKind, signal},
    };

    use super::{ARGUMENT, GUARD_FAILED, GuardOptions, Isolation, REPORT};
    use crate::process::tree;

    /// Exit codes of shells and their like: the program cannot be run; it is not there.
    const CANNOT_RUN: u8 = 126;
    const NOT_THERE: u8 = 127;
    /// Rounds of killing what is left, with a pause between them.
    const ROUNDS: usize = 500;
    const PAUSE: Duration = Duration::from_millis(2);
    /// Nobody, to whom this process' own user is mapped where it is the superuser: so the program has no rights inside of
    /// its namespaces either.
    const NOBODY: u32 = 65_534;

    pub fn stage(mut arguments: Vec<OsString>) -> ExitCode {
        let mut word = || if arguments.is_empty() { OsString::new() } else { arguments.remove(0) };
        match word().to_str() {
            Some("outer") => {
                let isolation = match word().to_str() {
                    Some("required") => Isolation::Required,
                    Some("off") => Isolation::Off,
                    _ => Isolation::Auto,
                };
                let network = word().to_str() == Some("network");
                let threads = word().to_str().and_then(|most| most.parse().ok());
                outer(GuardOptions { isolation, network, threads }, &arguments)
            }
            Some("inner") => inner(&arguments),
            Some("last") => last(&arguments),
            _ => failed(GUARD_FAILED, "it guards nothing by itself"),
        }
    }

    fn failed(code: u8, reason: impl std::fmt::Display) -> ExitCode {
        // Who does not read it has gone.
        let _ = writeln!(io::stderr(), "sconce-guard: {reason}");
        ExitCode::from(code)
    }

    fn outer(options: GuardOptions, command: &[OsString]) -> ExitCode {
        let apart = match options.isolation {
            Isolation::Off => Vec::new(),
            Isolation::Auto => enter(options).unwrap_or_default(),
            Isolation::Required => match enter(options) {
                Ok(apart) => apart,
                Err(error) => {
                    let reason = format_args!("this system does not let a program be put apart: {error}");
                    return failed(GUARD_FAILED, reason);
                }
            },
        };
        let alone = apart.contains(&"processes");
        let said = apart.iter().copied().chain(["privileges"]).collect::<Vec<_>>().join(" ");
        // As above.
        let _ = writeln!(io::stderr(), "{REPORT}{said}");
        // The value says no more than that there is one.
        if let Err(error) = set_child_subreaper(Some(Pid::INIT)) {
            return failed(GUARD_FAILED, format_args!("it cannot adopt orphans: {error}"));
        }
        watch(if alone { "inner" } else { "last" }, command)
    }

    /// Enters what namespaces it may; children are in them. Their names, for people.
    fn enter(options: GuardOptions) -> io::Result<Vec<&'static str>> {
        let mut flags = UnshareFlags::NEWPID | UnshareFlags::NEWIPC;
        let mut apart = vec!["processes"];
        if !options.network {
            flags |= UnshareFlags::NEWNET;
            apart.insert(0, "network");
        }
        let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
        // With a namespace of users nobody needs rights for the others, and none that there are go in.
        match unshare(flags | UnshareFlags::NEWUSER) {
            Ok(()) => {
                map(uid, gid)?;
                apart.push("users");
                // A system that lets nobody bound itself bounds it in another way.
                let _ = options.threads.map_or(Ok(()), bound);
            }
            Err(_) => unshare(flags)?,
        }
        Ok(apart)
    }

    /// Kernels before 5.14 count all threads of the user outside of the namespace as well, where this bound would be too low.
    /// The superuser of the outer namespace none of them bounds.
    fn bound(threads: u64) -> io::Result<()> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) < (Some(5), Some(14)) {
            return Ok(());
        }
        Ok(setrlimit(Resource::Nproc, Rlimit { current: Some(threads), maximum: Some(threads) })?)
    }

    fn map(uid: u32, gid: u32) -> io::Result<()> {
        let inside = |id: u32| if id == 0 { NOBODY } else { id };
        // Without it only the superuser of the outer namespace could map groups.
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{} {uid} 1", inside(uid)))?;
        fs::write("/proc/self/gid_map", format!("{} {gid} 1", inside(gid)))
    }

    fn inner(command: &[OsString]) -> ExitCode {
        match set_parent_process_death_signal(Some(Signal::KILL)) {
            Ok(()) => watch("last", command),
            Err(error) => failed(GUARD_FAILED, error),
        }
    }

    fn last(command: &[OsString]) -> ExitCode {
        let bound = set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from);
        if let Err(error) = bound.and_then(|()| set_no_new_privs(true).map_err(io::Error::from)) {
            return failed(GUARD_FAILED, error);
        }
        // Where memory runs out the worker goes, and not the server. A system that forbids it decides by size.
        let _ = fs::write("/proc/self/oom_score_adj", "900");
        let Some((program, arguments)) = command.split_first() else {
            return failed(GUARD_FAILED, "there is nothing to guard");
        };
        let error = Command::new(program).args(arguments).exec();
        let code = if error.kind() == io::ErrorKind::NotFound { NOT_THERE } else { CANNOT_RUN };
        failed(code, format_args!("{} cannot be run: {error}", program.display()))
    }

    /// Begins the next stage, and ends with it; or ends it, when it is asked to or nobody reads any more.
    fn watch(next: &str, command: &[OsString]) -> ExitCode {
        // On this thread alone.
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return failed(GUARD_FAILED, error),
        };
        match runtime.block_on(attend(next, command)) {
            Ok(code) => ExitCode::from(code.unwrap_or(GUARD_FAILED)),
            Err(error) => failed(GUARD_FAILED, format_args!("its next stage cannot be run: {error}")),
        }
    }

    /// The exit code of the next stage; `None`: it was ended.
    async fn attend(next: &str, command: &[OsString]) -> io::Result<Option<u8>> {
        let (mut asked, mut ended) = (signal(SignalKind::terminate())?, signal(SignalKind::child())?);
        // Of a pipe that nobody reads an error is told without being asked for.
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        // Unchecked, so that the pipe blocks as before: it is the program's as well, and nothing is written here.
        let unread = pipe::Sender::from_file_unchecked(output)?;
        let mut guard = Command::new("/proc/self/exe");
        guard.args([OsStr::new(ARGUMENT), OsStr::new(next)]).args(command).process_group(0);
        let child = guard.spawn()?;
        let code = loop {
            tokio::select! {
                _ = ended.recv() => {
                    if let Some(code) = reap(&child) {
                        break Some(code);
                    }
                }
                _ = asked.recv() => break None,
                _ = unread.ready(Interest::ERROR) => break None,
            }
        };
        end(&child);
        Ok(code)
    }

    /// Takes leave of all that have ended: the exit code of the child, if it is among them.
    fn reap(child: &Child) -> Option<u8> {
        let mut code = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == Pid::from_child(child) {
                code = Some(of_shells(status));
            }
        }
        code
    }

    fn of_shells(status: WaitStatus) -> u8 {
        let signal = || Some(128 + status.terminating_signal()?);
        status.exit_status().or_else(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(GUARD_FAILED)
    }

    /// Kills all that is left. What is stopped begins nothing new, so that even who forks without end is caught. The
    /// first process of a namespace only ends: the kernel does the rest.
    #[expect(clippy::disallowed_methods, reason = "a process of its own that only waits for others to be gone")]
    fn end(child: &Child) {
        let child = Pid::from_child(child);
        for _ in 0..ROUNDS {
            // An error says that it is gone.
            let _ = kill_process(child, Signal::KILL);
            if !sees_itself() {
                return;
            }
            let left = tree(std::process::id());
            for signal in [Signal::STOP, Signal::KILL] {
                let pids = left.iter().skip(1).filter_map(|process| Pid::from_raw(process.pid.cast_signed()));
                // As above.
                pids.for_each(|pid| _ = kill_process(pid, signal));
            }
            let gone = std::iter::from_fn(|| wait(WaitOptions::NOHANG).transpose());
            // No child at all, dead or alive.
            if gone.filter_map(Result::err).next() == Some(Errno::CHILD) {
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    /// Whether the numbers in `/proc` are those of this process' own namespace.
    fn sees_itself() -> bool {
        fs::read_link("/proc/self").is_ok_and(|link| link == Path::new(&std::process::id().to_string()))
    }
}
