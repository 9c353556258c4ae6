//! What jobs need to know.

use std::{path::PathBuf, time::Duration};

use crate::remote::Secret;

/// What jobs need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where they are written down; without it they are kept in memory and end with the process.
    pub dir: Option<PathBuf>,
    /// Jobs that are worked on at once.
    pub at_once: usize,
    /// How long one may take, once its model is there.
    pub time_limit: Duration,
    /// How long the result of a finished one is kept.
    pub keep: Duration,
    /// Jobs that are held at once, finished ones included.
    pub max_count: usize,
    /// Bytes of recordings and results that are held at once.
    pub max_bytes: u64,
    /// Bytes from which a job can be gone on with after a restart, at most, for each that runs.
    pub max_checkpoint: u64,
    /// Times that a job may be begun and interrupted by a failure of the process or of the model.
    pub attempts: u32,
    /// The key that webhooks are signed with; without it there are none.
    pub webhook_secret: Option<Secret>,
}
