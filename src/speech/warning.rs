//! What a caller ought to know of an answer that is none of a failure.

use std::fmt;

/// Told in the answer, and in a header beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Warning {
    /// For programs.
    pub code: WarningCode,
    /// For people.
    pub message: &'static str,
}

/// The kind of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The file ends before it says that it does, or part of it could not be read.
    Truncated,
}

// === impl Warning ===

impl Warning {
    pub const TRUNCATED: Self = Self {
        code: WarningCode::Truncated,
        message: "the recording ends before its file says that it does, or part of it could not be read: this is of what \
                  could be",
    };
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("truncated"),
        }
    }
}
