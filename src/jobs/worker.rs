//! Those who know what the work of a job is.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Order, Pieces, View, state::JobEvent};
use crate::speech::{Fault, Kind};

/// Does the work of jobs. Dropping the future stops the work.
pub trait Worker: Send + Sync + 'static {
    /// The whole result; meanwhile its pieces, as far as it has any.
    fn work(&self, order: Order, pieces: Pieces) -> BoxFuture<'static, Result<Value, Failure>>;

    /// A job in the words of those who ask for it: what a webhook tells.
    fn show(&self, view: &View) -> Value;
}

/// Why a job came to no result: a [`Fault`] that can be written down.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Deserialize, Serialize)]
#[error("{message}")]
pub struct Failure {
    pub kind: Kind,
    pub message: String,
    pub param: Option<String>,
    pub retry_after: Option<Duration>,
    pub permanent: bool,
}

/// When nothing says when a model is back, it is asked for again after so long.
const PAUSE: Duration = Duration::from_secs(5);

// === impl Failure ===

impl Failure {
    /// One that the same job will meet again.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after: None, permanent: true }
    }

    pub fn of(fault: &dyn Fault) -> Self {
        Self {
            kind: fault.kind(),
            message: fault.to_string(),
            param: fault.param().map(str::to_owned),
            retry_after: fault.retry_after(),
            permanent: fault.permanent(),
        }
    }

    /// A job has time: what a caller would have to try again, it tries again by itself.
    pub(super) fn event(self) -> JobEvent {
        match self.kind {
            Kind::Stopping => JobEvent::PutBack,
            // The model broke; perhaps because of another request that it worked on.
            Kind::Internal => JobEvent::Interrupted,
            Kind::Busy | Kind::Loading | Kind::Unavailable if !self.permanent => {
                JobEvent::Later(self.retry_after.unwrap_or(PAUSE))
            }
            _ => JobEvent::Failed(self),
        }
    }
}

impl Fault for Failure {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn permanent(&self) -> bool {
        self.permanent
    }

    fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_waits_for_what_may_come_and_ends_with_what_will_not() {
        let of = |kind, permanent| Failure { permanent, ..Failure::new(kind, "x") }.event();
        assert_eq!(of(Kind::Loading, false), JobEvent::Later(PAUSE));
        assert_eq!(of(Kind::Busy, false), JobEvent::Later(PAUSE));
        assert!(matches!(of(Kind::Unavailable, true), JobEvent::Failed(_)));
        assert!(matches!(of(Kind::Invalid, true), JobEvent::Failed(_)));
        assert!(matches!(of(Kind::Deadline, false), JobEvent::Failed(_)));
        assert_eq!(of(Kind::Stopping, false), JobEvent::PutBack);
        assert_eq!(of(Kind::Internal, true), JobEvent::Interrupted);
    }
}
