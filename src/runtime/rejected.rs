//! Why a request was not taken.

use std::time::Duration;

use crate::speech::{Fault, Kind};

/// A client is told to come back so soon when the model it was about to use went away.
const RETURN_AFTER_CLOSE: Duration = Duration::from_secs(1);

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejected {
    #[error("{depth} requests already wait for this model; try again in {} s", retry_after.as_secs_f64().ceil())]
    Full { depth: usize, retry_after: Duration },
    /// The model broke or went after it was leased.
    #[error("the model has just gone; try again")]
    Closed,
}

// === impl Rejected ===

impl Fault for Rejected {
    fn kind(&self) -> Kind {
        match self {
            Self::Full { .. } => Kind::Busy,
            Self::Closed => Kind::Unavailable,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(match self {
            Self::Full { retry_after, .. } => *retry_after,
            Self::Closed => RETURN_AFTER_CLOSE,
        })
    }
}
