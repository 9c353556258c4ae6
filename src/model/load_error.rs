//! Why a model could not be loaded.

use std::time::Duration;

use super::{
    NoProgram,
    broken::{first_line, is_out_of_memory},
};
use crate::speech::{Fault, Kind};

/// Why a model could not be loaded. Texts name the file or tensor, never a path of the host.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the file {0} is missing")]
    Missing(String),
    #[error("{file} is not what it should be: {reason}")]
    Malformed { file: String, reason: String },
    #[error("the tensor {tensor} {reason}")]
    Tensor { tensor: String, reason: String },
    #[error("this build cannot run it: {0}")]
    Unsupported(String),
    /// Of a model that is weighed before its files come.
    #[error("{0} is not here yet")]
    Ahead(String),
    #[error("{file} could not be read")]
    Read { file: String, source: std::io::Error },
    #[error(transparent)]
    Program(#[from] NoProgram),
    /// What would have to be executed may not be.
    #[error("{0}")]
    Refused(String),
    /// A program that is a model, or runs one, did not do what it should.
    #[error("{0}")]
    Process(String),
    #[error("the device failed: {}", first_line(.0))]
    Device(#[from] candle_core::Error),
}

// === impl LoadError ===

impl LoadError {
    /// Whether its device had too little memory.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Device(error) if is_out_of_memory(error))
    }
}

impl Fault for LoadError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unsupported(_) | Self::Refused(_) => Kind::Unsupported,
            Self::Program(error) => error.kind(),
            Self::Missing(_)
            | Self::Malformed { .. }
            | Self::Tensor { .. }
            | Self::Ahead(_)
            | Self::Read { .. }
            | Self::Process(_)
            | Self::Device(_) => Kind::Unavailable,
        }
    }

    fn permanent(&self) -> bool {
        match self {
            Self::Program(error) => error.permanent(),
            error => !matches!(error, Self::Ahead(_) | Self::Read { .. } | Self::Process(_) | Self::Device(_)),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
