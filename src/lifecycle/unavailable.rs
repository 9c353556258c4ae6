//! Why a caller did not get its model.

use std::time::Duration;

use super::Footprint;
use crate::speech::{Awaited, Fault, Kind, ModelName};

/// Another server, or this one started anew, is there so soon.
const AFTER_A_STOP: Duration = Duration::from_secs(1);

/// Why a caller did not get its model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// The last attempt to bring it in failed.
    #[error("the model {model} is not available: {reason}")]
    Failed { model: ModelName, reason: String, retry_after: Option<Duration>, permanent: bool },
    /// It is on its way, and the caller's timeout is over.
    #[error("the model {model} is {doing}; GET /models/status shows its progress")]
    NotYet { model: ModelName, doing: String, retry_after: Duration, eta: Option<Duration> },
    /// As many as may wait for it do so already.
    #[error("{waiting} requests already wait for the model {model}; limits.waiters sets the limit")]
    Crowded { model: ModelName, waiting: usize, retry_after: Duration },
    /// Other models hold the memory that it needs.
    #[error("the model {model} has no room in memory: {reason}")]
    NoRoom { model: ModelName, reason: String, retry_after: Duration, eta: Option<Duration> },
    /// It needs more than all models may have together.
    #[error("the model {model} needs {need} of memory on {device}, where all models together may take {budget}")]
    WontFit { model: ModelName, need: Footprint, budget: u64, device: String },
    /// The catalog knows it, but it is not among those that this server brings in.
    #[error("the model {model} is not served here")]
    NotServed { model: ModelName },
    /// Another version of it did not come; the one that there was serves on.
    #[error("the model {model} was not updated, and serves as before: {reason}")]
    NotUpdated { model: ModelName, reason: String, permanent: bool },
    /// The update was given up before it came.
    #[error("the update of the model {model} was given up: {reason}")]
    UpdateGivenUp { model: ModelName, reason: String },
    /// It cannot be had at that revision, whatever is tried.
    #[error("the model {model} cannot be brought to that revision: {reason}")]
    NoRevision { model: ModelName, reason: String },
    #[error("the server is stopping")]
    Stopping,
}

impl Fault for Unavailable {
    fn kind(&self) -> Kind {
        match self {
            Self::Failed { .. } | Self::NoRoom { .. } | Self::NotUpdated { .. } | Self::UpdateGivenUp { .. } => {
                Kind::Unavailable
            }
            Self::NotYet { .. } => Kind::Loading,
            Self::Crowded { .. } => Kind::Busy,
            Self::WontFit { .. } => Kind::WontFit,
            Self::NotServed { .. } => Kind::NotFound,
            Self::NoRevision { .. } => Kind::Invalid,
            Self::Stopping => Kind::Stopping,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed { retry_after, .. } => *retry_after,
            Self::NotYet { retry_after, .. } | Self::NoRoom { retry_after, .. } | Self::Crowded { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::WontFit { .. }
            | Self::NotUpdated { .. }
            | Self::UpdateGivenUp { .. }
            | Self::NotServed { .. }
            | Self::NoRevision { .. } => None,
            Self::Stopping => Some(AFTER_A_STOP),
        }
    }

    fn permanent(&self) -> bool {
        match self {
            Self::Failed { permanent, .. } | Self::NotUpdated { permanent, .. } => *permanent,
            Self::NotYet { .. }
            | Self::NoRoom { .. }
            | Self::Crowded { .. }
            | Self::UpdateGivenUp { .. }
            | Self::Stopping => false,
            Self::WontFit { .. } | Self::NotServed { .. } | Self::NoRevision { .. } => true,
        }
    }

    fn awaited(&self) -> Option<Awaited> {
        let (model, eta) = match self {
            Self::NotYet { model, eta, .. } | Self::NoRoom { model, eta, .. } => (model, *eta),
            Self::Failed { model, .. } | Self::Crowded { model, .. } => (model, None),
            Self::WontFit { .. }
            | Self::NotServed { .. }
            | Self::NotUpdated { .. }
            | Self::UpdateGivenUp { .. }
            | Self::NoRevision { .. }
            | Self::Stopping => return None,
        };
        Some(Awaited { model: model.to_string(), eta })
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::NotServed { .. } | Self::WontFit { .. } => Some("model"),
            Self::NoRevision { .. } => Some("revision"),
            Self::Failed { .. }
            | Self::NotYet { .. }
            | Self::NoRoom { .. }
            | Self::Crowded { .. }
            | Self::NotUpdated { .. }
            | Self::UpdateGivenUp { .. }
            | Self::Stopping => None,
        }
    }
}
