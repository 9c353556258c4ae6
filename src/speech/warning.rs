//! What a caller ought to know of an answer that is none of a failure.

use std::{borrow::Cow, fmt};

/// Told in the answer, and in a header beside it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Warning {
    /// For programs.
    pub code: WarningCode,
    /// For people.
    #[schema(value_type = String)]
    pub message: Cow<'static, str>,
}

/// The kind of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The file ends before it says that it does, or part of it could not be read.
    Truncated,
    /// The program that decoded the file found faults in it.
    Damaged,
    /// A track of several could not be decoded.
    LeftOut,
}

// === impl Warning ===

impl Warning {
    pub const TRUNCATED: Self = Self {
        code: WarningCode::Truncated,
        message: Cow::Borrowed(
            "the recording ends before its file says that it does, or part of it could not be read: this is of what could be",
        ),
    };

    /// `faults`: what the program says of them, in its words.
    pub fn damaged(faults: &str) -> Self {
        let message = format!("the recording is damaged, and this is of what could be read: {faults}");
        Self { code: WarningCode::Damaged, message: message.into() }
    }

    /// `why`: for people.
    pub fn left_out(track: usize, why: impl fmt::Display) -> Self {
        Self { code: WarningCode::LeftOut, message: format!("track {track} is left out: {why}").into() }
    }
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("truncated"),
            Self::Damaged => f.write_str("damaged"),
            Self::LeftOut => f.write_str("left_out"),
        }
    }
}
