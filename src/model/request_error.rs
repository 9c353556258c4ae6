//! Why a request failed, while the model goes on.

use std::time::Duration;

use super::Room;
use crate::speech::{Fault, Kind};

/// After which a model that ended may be there again.
const SOON: Duration = Duration::from_secs(1);

/// Why a request failed, while the model goes on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// The request is wrong.
    #[error("{message}")]
    Invalid { param: &'static str, message: String },
    /// This model cannot do that.
    #[error("{message}")]
    Unsupported { param: &'static str, message: String },
    #[error("the time limit of the request passed")]
    Deadline,
    #[error("the caller left")]
    Gone,
    #[error("the model failed while it worked on the request")]
    Broken,
    #[error("the model ended before it came to the request; ask again")]
    NotBegun,
    /// With so many others under way, which may have taken it.
    #[error("{}", no_memory(*others, room))]
    NoMemory { others: usize, room: Room },
    #[error("the model made more than was read, and did not wait")]
    Overrun,
    #[error("the server is stopping")]
    Stopping,
}

// === impl RequestError ===

impl RequestError {
    /// The device had no memory left for what a request needed, with so many others under way.
    pub fn no_memory(others: usize, room: Room) -> Self {
        Self::NoMemory { others, room }
    }
}

fn no_memory(others: usize, room: &Room) -> String {
    match others {
        0 => format!(
            "the device has too little memory for this request, with no other one under way{room}; a shorter one may fit"
        ),
        _ => format!(
            "the device had too little memory left for this request, with {others} more under way{room}; ask again"
        ),
    }
}

impl Fault for RequestError {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid { .. } => Kind::Invalid,
            Self::Unsupported { .. } => Kind::Unsupported,
            Self::Deadline => Kind::Deadline,
            Self::Gone => Kind::Cancelled,
            Self::Broken | Self::Overrun => Kind::Internal,
            Self::NoMemory { others: 0, .. } => Kind::WontFit,
            Self::NotBegun | Self::NoMemory { .. } => Kind::Unavailable,
            Self::Stopping => Kind::Stopping,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let again = match self {
            Self::NotBegun => true,
            Self::NoMemory { others, .. } => *others > 0,
            _ => false,
        };
        again.then_some(SOON)
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Invalid { param, .. } | Self::Unsupported { param, .. } => Some(param),
            _ => None,
        }
    }
}
