//! What a model's thread reports.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{Broken, DeviceId, LoadError, Outside, Room},
    speech::{Fault, Kind},
};

/// What a model's thread reports, in order: `Loaded`, `Ready`, `Ended`; or `Failed` in place of any that did not come.
/// `Failed` and `Ended` are last, and at that time the model's memory is free.
#[derive(Debug)]
pub enum Event {
    /// The weights are in memory. `resident`: bytes by which what its device holds grew; `None` if that could not be
    /// told apart from what other models did meanwhile.
    Loaded {
        took: Duration,
        resident: Option<u64>,
        /// The process that it is, or that does its work, which holds memory of its own.
        outside: Option<Arc<Outside>>,
    },
    /// The first inference is done, if there is to be one; requests are taken.
    Ready {
        took: Duration,
    },
    Failed(StartError),
    /// The model is gone. `died`: because it broke, with a reason for clients; `freed`: bytes by which what its device
    /// holds shrank, `None` as above.
    Ended {
        died: Option<String>,
        freed: Option<u64>,
    },
}

/// Why a model could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{device} has too little memory for it{room}")]
    NoMemory { device: DeviceId, room: Room },
    #[error("the model did not survive its first inference")]
    WarmUp(#[source] Broken),
    /// The detail is for logs.
    #[error("the model failed unexpectedly while it was {phase}")]
    Panicked { phase: &'static str, detail: String },
}

// === impl StartError ===

impl Fault for StartError {
    fn kind(&self) -> Kind {
        match self {
            Self::Load(error) => error.kind(),
            Self::NoMemory { .. } | Self::WarmUp(_) | Self::Panicked { .. } => Kind::Unavailable,
        }
    }

    fn permanent(&self) -> bool {
        match self {
            Self::Load(error) => error.permanent(),
            Self::NoMemory { .. } | Self::WarmUp(_) | Self::Panicked { .. } => false,
        }
    }
}
