//! What a protocol knows of a request beside what is asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Allowance, Served};
use crate::lifecycle::KeepAlive;

/// What a protocol knows of a request beside what is asked.
#[derive(Clone, Debug)]
pub struct Call {
    /// Identifies the request in logs and answers.
    pub id: String,
    /// `vertex`, `openai`, …: a label of metrics.
    pub protocol: &'static str,
    /// Name or alias; the default model if absent.
    pub model: Option<String>,
    /// How long to wait for the model; as configured if absent.
    pub wait: Option<Duration>,
    /// How long it may take, once its model is there; as configured if absent.
    pub time_limit: Option<Duration>,
    /// When the caller does not want an answer any more, whatever it waits for.
    pub deadline: Option<Instant>,
    /// Where it is written who serves the request.
    pub served: Served,
    /// How long the model is to stay in memory afterwards; as the request before said, or as configured, if absent.
    pub keep_alive: Option<KeepAlive>,
    /// What the caller may use; without bounds if absent.
    pub allowance: Option<Arc<dyn Allowance>>,
}

// === impl Call ===

impl Call {
    /// How long it may wait for its model.
    pub(super) fn patience(&self, usual: Duration) -> Duration {
        let wait = self.wait.unwrap_or(usual);
        self.deadline.map_or(wait, |deadline| wait.min(deadline.saturating_duration_since(Instant::now())))
    }

    /// When its model, which is there now, has to be done.
    pub(super) fn ends(&self, usual: Duration) -> Instant {
        let end = Instant::now() + self.time_limit.unwrap_or(usual);
        self.deadline.map_or(end, |deadline| end.min(deadline))
    }

    /// Whether the caller has given up by now.
    pub(super) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}
