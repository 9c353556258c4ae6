//! Exit codes that several commands have.

/// A usage or configuration error, as clap has it too.
pub(super) const USAGE: u8 = 2;
/// As a shell has it for a process that SIGINT ended: 128 + SIGINT.
pub(super) const INTERRUPTED: u8 = 130;
