//! Why a caller did not get its model.

use std::time::Duration;

use crate::speech::{Fault, Kind, ModelName};

/// Why a caller did not get its model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// The last attempt to bring it in failed.
    #[error("the model {model} is not available: {reason}")]
    Failed { model: ModelName, reason: String, retry_after: Option<Duration>, permanent: bool },
    /// It is on its way, and the caller's patience ended.
    #[error("the model {model} is {doing}; GET /models/status shows its progress")]
    NotYet { model: ModelName, doing: String, retry_after: Duration },
    /// Other models hold the memory that it needs.
    #[error("the model {model} has no room in memory: {reason}")]
    NoRoom { model: ModelName, reason: String, retry_after: Duration },
    /// It needs more than all models may have together.
    #[error("the model {model} needs {need} bytes of memory and all models together may take {budget}")]
    WontFit { model: ModelName, need: u64, budget: u64 },
    /// The catalog knows it, but it is not among those that this server brings in.
    #[error("the model {model} is not served here")]
    NotServed { model: ModelName },
    #[error("the server is stopping")]
    Stopping,
}

impl Fault for Unavailable {
    fn kind(&self) -> Kind {
        match self {
            Self::Failed { .. } | Self::NoRoom { .. } => Kind::Unavailable,
            Self::NotYet { .. } => Kind::Loading,
            Self::WontFit { .. } => Kind::WontFit,
            Self::NotServed { .. } => Kind::NotFound,
            Self::Stopping => Kind::Stopping,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed { retry_after, .. } => *retry_after,
            Self::NotYet { retry_after, .. } | Self::NoRoom { retry_after, .. } => Some(*retry_after),
            Self::WontFit { .. } | Self::NotServed { .. } | Self::Stopping => None,
        }
    }

    fn permanent(&self) -> bool {
        match self {
            Self::Failed { permanent, .. } => *permanent,
            Self::NotYet { .. } | Self::NoRoom { .. } | Self::Stopping => false,
            Self::WontFit { .. } | Self::NotServed { .. } => true,
        }
    }

    fn param(&self) -> Option<&str> {
        matches!(self, Self::NotServed { .. } | Self::WontFit { .. }).then_some("model")
    }
}
