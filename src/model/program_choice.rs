//! Where a program is taken from.

use std::path::PathBuf;

/// Where a program is taken from, as the configuration says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProgramChoice {
    /// From the path, if it is there.
    #[default]
    Auto,
    Off,
    At(PathBuf),
}
