//! How programs of somebody else are begun.

use std::{ffi::OsStr, process::Command};

use super::ProgramChoice;
use crate::process::{self, GuardOptions, Isolation};

/// How programs of somebody else are begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardRules {
    /// The program that stands between; `Auto`: this one.
    pub program: ProgramChoice,
    pub isolation: Isolation,
    /// Number of the user, and of the group, that they run as.
    pub user: Option<(u32, u32)>,
}

// === impl GuardRules ===

impl GuardRules {
    /// Whether anything stands between.
    pub fn is_there(&self) -> bool {
        // Elsewhere there is nothing that a guard could do.
        self.program != ProgramChoice::Off && (cfg!(target_os = "linux") || self.program != ProgramChoice::Auto)
    }

    /// A program behind its guard, if there is to be one; its arguments are to follow. `threads`: that there may be of it, at
    /// most.
    pub fn command(&self, program: impl AsRef<OsStr>, network: bool, threads: Option<u64>) -> Command {
        let mut command = match &self.program {
            _ if !self.is_there() => Command::new(program),
            guard => {
                let mut command = Command::new(match guard {
                    ProgramChoice::At(path) => path.as_os_str(),
                    _ => OsStr::new("/proc/self/exe"),
                });
                let options = GuardOptions { isolation: self.isolation, network, threads };
                command.args(process::arguments(options)).arg(program);
                command
            }
        };
        if let Some((user, group)) = self.user {
            use std::os::unix::process::CommandExt;
            command.gid(group).uid(user);
        }
        command
    }
}

impl Default for GuardRules {
    fn default() -> Self {
        Self { program: ProgramChoice::Auto, isolation: Isolation::Auto, user: None }
    }
}
