//! Who writes, so that others can tell whether the writer is still alive.

use std::{collections::BTreeSet, sync::LazyLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The writers of this process that have not ended. Locked for a look-up only.
static ALIVE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static PROCESS: LazyLock<Process> = LazyLock::new(Process::this);

/// A writer, in words that mean the same on every machine that shares the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// Random; another one for every writer.
    pub id: String,
    #[serde(flatten)]
    process: Process,
}

/// A process, as it can be recognised from its own machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    /// For people.
    host: String,
    /// Of the kernel that runs it: empty where it cannot be told.
    boot: String,
    /// Containers of one machine have process numbers of their own.
    namespace: String,
    pid: u32,
    /// Ticks from the boot to its start: a number may be given away again.
    started: u64,
}

/// An owner that is alive until this is dropped.
pub(super) struct Alive(pub Owner);

// === impl Owner ===

impl Owner {
    /// Whether it has certainly ended. `false` of a writer on another machine, and of any whom nobody can tell.
    pub(super) fn is_dead(&self) -> bool {
        let (Process { pid, started, .. }, here) = (&self.process, &*PROCESS);
        if !self.is_here() {
            return false;
        }
        match (*pid, *started) == (here.pid, here.started) {
            true => !ALIVE.lock().contains(&self.id),
            false => started_at(*pid) != Some(*started),
        }
    }

    /// Whether it is of this machine, so that what [`Self::is_dead`] says is certain either way.
    pub(super) fn is_here(&self) -> bool {
        let Process { boot, namespace, .. } = &self.process;
        !boot.is_empty() && (boot, namespace) == (&PROCESS.boot, &PROCESS.namespace)
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        format!("process {} on {}", self.process.pid, self.process.host)
    }
}

// === impl Alive ===

impl Alive {
    pub(super) fn new() -> Self {
        let id = format!("{:032x}", rand::random::<u128>());
        ALIVE.lock().insert(id.clone());
        Self(Owner { id, process: PROCESS.clone() })
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.lock().remove(&self.0.id);
    }
}

// === impl Process ===

impl Process {
    fn this() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (pid, boot) = (std::process::id(), boot.trim().to_owned());
        let started = started_at(pid);
        Self {
            host,
            boot: started.map(|_| boot).unwrap_or_default(),
            namespace: namespace.to_string_lossy().into_owned(),
            pid,
            started: started.unwrap_or_default(),
        }
    }
}

/// When a process of this machine started; `None` if there is none, or only the rest that its parent has not buried.
fn started_at(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc(5): the name, in parentheses, may hold anything; state is the first field after it, the start the twentieth.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    fields.nth(18)?.parse().ok().filter(|_| !matches!(state, "Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_lives_as_long_as_its_guard() {
        let alive = Alive::new();
        let owner = alive.0.clone();
        assert!(!owner.is_dead());
        drop(alive);
        assert!(owner.is_dead());
    }

    #[test]
    fn a_process_that_ended_is_dead_and_one_elsewhere_is_not() {
        let alive = Alive::new();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let mut other = alive.0.clone();
        other.process.pid = child.id();
        other.process.started = started_at(child.id()).unwrap_or(1);
        child.wait().unwrap();
        assert!(other.is_dead());
        other.process.boot = "another".to_owned();
        assert!(!other.is_dead(), "of another machine nothing is known");
        let again = Owner { process: Process { started: 1, ..alive.0.process.clone() }, ..alive.0.clone() };
        assert!(again.is_dead(), "the number was given to another process");
    }
}
