//! Exit codes that several commands have.

use crate::{
    app::{BuildError, ServeError},
    catalog::Unknown,
};

/// A usage or configuration error, as clap has it too.
pub(super) const USAGE: u8 = 2;
/// As a shell has it for a process that SIGINT ended: 128 + SIGINT.
pub(super) const INTERRUPTED: u8 = 130;

/// What somebody asked for cannot be done, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct WrongUsage(pub String);

/// That of a command that ended so: a model that is not well named is wrong usage, all else but what says so itself is a failure.
pub(super) fn code(error: &anyhow::Error) -> u8 {
    let built = match error.downcast_ref() {
        Some(ServeError::Build(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    let misnamed = matches!(built, Some(BuildError::Catalog(_))) || error.is::<Unknown>() || error.is::<WrongUsage>();
    if misnamed { USAGE } else { 1 }
}
