//! What a protocol knows of a request beside what is asked.

use std::{sync::Arc, time::Duration};

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
    /// Where it is written who serves the request.
    pub served: Served,
    /// How long the model is to stay in memory afterwards; as the request before said, or as configured, if absent.
    pub keep_alive: Option<KeepAlive>,
    /// What the caller may use; without bounds if absent.
    pub allowance: Option<Arc<dyn Allowance>>,
}
