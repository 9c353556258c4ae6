//! How much a caller may still use.

use std::{fmt, time::Duration};

use crate::speech::{Fault, Kind};

/// What a caller may use; whoever knows the callers implements it.
pub trait Allowance: fmt::Debug + Send + Sync {
    /// Takes a recording of so many seconds from what is left, all of it or nothing.
    fn take_audio(&self, seconds: f64) -> Result<(), OverAllowance>;

    /// Takes a text of so many characters from what is left, all of it or nothing.
    fn take_characters(&self, characters: usize) -> Result<(), OverAllowance>;
}

/// Why a recording is not heard, or a text not spoken, though it could be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverAllowance {
    #[error(
        "the key {who} may send {per_minute} seconds of audio a minute, and what is left is less than this recording"
    )]
    Spent { who: String, per_minute: u32, retry_after: Duration },
    #[error("the recording has {seconds} seconds; the key {who} may send {per_minute} seconds of audio a minute")]
    TooLong { who: String, per_minute: u32, seconds: u32 },
    #[error("the key {who} may have {per_minute} characters spoken a minute, and what is left is less than this text")]
    CharactersSpent { who: String, per_minute: u32, retry_after: Duration },
    #[error("the text has {characters} characters; the key {who} may have {per_minute} spoken a minute")]
    TextTooLong { who: String, per_minute: u32, characters: u32 },
}

// === impl OverAllowance ===

impl Fault for OverAllowance {
    fn kind(&self) -> Kind {
        match self {
            Self::Spent { .. } | Self::CharactersSpent { .. } => Kind::Busy,
            Self::TooLong { .. } | Self::TextTooLong { .. } => Kind::TooLarge,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Spent { retry_after, .. } | Self::CharactersSpent { retry_after, .. } => Some(*retry_after),
            Self::TooLong { .. } | Self::TextTooLong { .. } => None,
        }
    }

    fn permanent(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::TextTooLong { .. })
    }

    fn param(&self) -> Option<&str> {
        Some(match self {
            Self::Spent { .. } | Self::TooLong { .. } => "audio",
            Self::CharactersSpent { .. } | Self::TextTooLong { .. } => "text",
        })
    }
}
