//! What those who wait for room may expect.

use std::{collections::HashMap, time::Duration};

use super::VersionId;

/// What somebody who waits for room may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEstimate {
    /// 1: the next.
    pub place: usize,
    /// How long until the model is there, if everybody before it takes its whole turn.
    pub wait: Duration,
}

/// By version.
pub type QueueEstimates = HashMap<VersionId, QueueEstimate>;
