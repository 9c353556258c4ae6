//! How much a caller may still use.

use std::{fmt, time::Duration};

use crate::speech::{Fault, Kind};

/// What a caller may use; whoever knows the callers implements it.
pub trait Allowance: fmt::Debug + Send + Sync {
    /// Takes a recording of so many seconds from what is left, all of it or nothing.
    fn take_audio(&self, seconds: f64) -> Result<(), OverAllowance>;
}

/// Why a recording is not heard, though it could be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverAllowance {
    #[error(
        "the key {who} may send {per_minute} seconds of audio a minute, and what is left is less than this recording"
    )]
    Spent { who: String, per_minute: u32, retry_after: Duration },
    #[error("the recording has {seconds} seconds; the key {who} may send {per_minute} seconds of audio a minute")]
    TooLong { who: String, per_minute: u32, seconds: u32 },
}

// === impl OverAllowance ===

impl Fault for OverAllowance {
    fn kind(&self) -> Kind {
        match self {
            Self::Spent { .. } => Kind::Busy,
            Self::TooLong { .. } => Kind::TooLarge,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Spent { retry_after, .. } => Some(*retry_after),
            Self::TooLong { .. } => None,
        }
    }

    fn permanent(&self) -> bool {
        matches!(self, Self::TooLong { .. })
    }

    fn param(&self) -> Option<&str> {
        Some("audio")
    }
}
