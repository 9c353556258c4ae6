//! Models that are programs of somebody: what the configuration says of them, and what is known of them while they run.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::GuardRules;
use crate::speech::TaskKind;

/// What the configuration says of one model that is a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerChoice {
    /// The program and its arguments; empty: what the model's own files say.
    pub command: Vec<String>,
    /// Of everything that is to be executed, in lower-case hexadecimal; without it nothing is.
    pub sha256: Option<String>,
    /// What it does; empty: what its files say.
    pub tasks: Vec<TaskKind>,
    /// Names of variables of our environment that it is given.
    pub environment: Vec<String>,
    /// Whether it may use the network.
    pub network: bool,
    /// Bytes of memory that it and all that it began may take; `None`: as for all.
    pub memory: Option<u64>,
}

/// What holds for all programs that are models.
#[derive(Clone, PartialEq, Eq)]
pub struct WorkerRules {
    pub guard: GuardRules,
    /// Bytes of memory that each and all that it began may take.
    pub memory: u64,
    /// Until it says what it is.
    pub hello_timeout: Duration,
    /// Until it is ready.
    pub load_timeout: Duration,
    /// Between two signs of life while it works, and for an answer to a ping.
    pub piece_timeout: Duration,
    /// Until it leaves a request alone that nobody waits for any more.
    pub cancel_timeout: Duration,
    /// Those variables of our environment that some of them are given.
    pub environment: BTreeMap<String, String>,
}

/// A process that is a model, or a part of one. Shared by those who run it and those who show it.
#[derive(Debug, Default)]
pub struct Outside {
    /// Bytes of memory that it and all that it began hold.
    memory: AtomicU64,
    processes: AtomicU64,
    /// How far it is apart from the rest of the machine.
    apart: OnceLock<String>,
    /// What it is called, by its own words.
    name: OnceLock<String>,
}

/// What there is to show of an [`Outside`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OutsideStatus {
    pub name: String,
    /// What it does not share with the rest of the machine: `network`, `processes`, `users`, `privileges`; nothing: it
    /// runs like any program of its user.
    pub apart: Vec<String>,
    pub processes: u64,
    pub memory_bytes: u64,
}

// === impl WorkerRules ===

impl Default for WorkerRules {
    fn default() -> Self {
        Self {
            guard: GuardRules::default(),
            memory: 4 << 30,
            hello_timeout: Duration::from_secs(60),
            load_timeout: Duration::from_secs(600),
            piece_timeout: Duration::from_secs(60),
            cancel_timeout: Duration::from_secs(30),
            environment: BTreeMap::new(),
        }
    }
}

/// Without values of the environment, which may be secrets.
impl fmt::Debug for WorkerRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.environment.keys().collect();
        f.debug_struct("WorkerRules").field("guard", &self.guard).field("environment", &names).finish_non_exhaustive()
    }
}

// === impl Outside ===

impl Outside {
    pub fn weigh(&self, memory: u64, processes: usize) {
        self.memory.store(memory, Relaxed);
        self.processes.store(processes as u64, Relaxed);
    }

    pub fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }

    /// The first word counts.
    pub fn set_apart(&self, apart: String) {
        let _ = self.apart.set(apart);
    }

    /// The first word counts.
    pub fn set_name(&self, name: String) {
        let _ = self.name.set(name);
    }

    pub fn status(&self) -> OutsideStatus {
        let apart = self.apart.get().map(String::as_str).unwrap_or_default();
        OutsideStatus {
            name: self.name.get().cloned().unwrap_or_default(),
            apart: apart.split_whitespace().map(str::to_owned).collect(),
            processes: self.processes.load(Relaxed),
            memory_bytes: self.memory(),
        }
    }
}
