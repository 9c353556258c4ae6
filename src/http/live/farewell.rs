//! How a connection ends, and what the client is told of it.

use actix_ws::{CloseCode, CloseReason};

use crate::{
    http::problem::Problem,
    service::live::{LiveEnd, LiveError},
};

/// Why a connection ends, and what the client is told of it.
pub(in crate::http) struct Farewell {
    pub end: LiveEnd,
    pub told: Option<Box<Told>>,
    pub code: Option<CloseCode>,
}

/// The last words.
pub(in crate::http) struct Told {
    pub problem: Problem,
    /// More exact than that of the problem.
    pub code: &'static str,
}

/// What was wrong with a message, and whether the session is over by it.
pub(in crate::http) struct Misstep {
    pub problem: Problem,
    pub over: bool,
}

// === impl Farewell ===

impl Farewell {
    pub fn silent(end: LiveEnd) -> Self {
        Self { end, told: None, code: None }
    }

    /// The client said that it is through, and has all that it is due.
    pub fn through() -> Self {
        Self { end: LiveEnd::Left, told: None, code: Some(CloseCode::Normal) }
    }

    pub fn told(end: LiveEnd, problem: Problem, code: &'static str, close: CloseCode) -> Self {
        Self { end, told: Some(Box::new(Told { problem, code })), code: Some(close) }
    }

    /// The key of the session may send no more.
    pub fn over_allowance(problem: Problem) -> Self {
        Self::told(LiveEnd::Allowance, problem, "rate_limit_exceeded", CloseCode::Policy)
    }

    /// As WebSockets say it.
    pub fn reason(&self) -> Option<CloseReason> {
        let description = self.told.as_ref().map(|told| told.problem.message.clone());
        self.code.map(|code| CloseReason { code, description })
    }
}

// === impl Misstep ===

impl From<Problem> for Misstep {
    fn from(problem: Problem) -> Self {
        Self { problem, over: false }
    }
}

impl From<LiveError> for Misstep {
    fn from(error: LiveError) -> Self {
        let over = matches!(error, LiveError::Allowance(_));
        Self { problem: error.into(), over }
    }
}
