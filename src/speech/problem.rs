//! A failure as a value: what a caller reads of it, kept apart from the error that it came from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::{Awaited, Fault, Kind};

/// What a [`Fault`] says, as a value that can be sent to a client or written down for later.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Deserialize, Serialize)]
#[error("{message}")]
pub struct Problem {
    pub kind: Kind,
    /// What was wrong, and what would be right.
    pub message: String,
    /// The request field at fault.
    pub param: Option<String>,
    /// When a retry makes sense, if it does.
    pub retry_after: Option<Duration>,
    /// Whether the same request will meet it again.
    pub permanent: bool,
    /// The model that would have to come first.
    #[serde(default)]
    pub awaited: Option<Awaited>,
}

// === impl Problem ===

impl Problem {
    /// One that the same request will meet again.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after: None, permanent: true, awaited: None }
    }

    /// A request field that is not what it should be.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message).about(param)
    }

    /// One that passes by itself.
    pub fn busy(message: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), permanent: false, ..Self::new(Kind::Busy, message) }
    }

    /// The same, with the request field at fault.
    #[must_use]
    pub fn about(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    /// The same, where a protocol calls a field otherwise.
    #[must_use]
    pub fn renamed(self, from: &str, to: &str) -> Self {
        match self.param.as_deref() == Some(from) {
            true => self.about(to),
            false => self,
        }
    }

    /// The same, of what will pass by itself.
    #[must_use]
    pub fn passing(self) -> Self {
        Self { permanent: false, ..self }
    }
}

/// `Problem` is no `Fault` itself: then this conversion could not be written for all of them.
impl<F: Fault> From<F> for Problem {
    fn from(fault: F) -> Self {
        Self {
            kind: fault.kind(),
            message: fault.to_string(),
            param: fault.param().map(str::to_owned),
            retry_after: fault.retry_after(),
            permanent: fault.permanent(),
            awaited: fault.awaited(),
        }
    }
}
