//! Requests that outlive a connection: taken down, worked on when there is room, and kept for a time.
//!
//! `state` is what may become of a job and `table` what may become of all of them; both are pure. One task, the `manager`,
//! owns the book, writes every change into the `store` before anybody hears of it, and starts what is due. What the
//! work *is*, the [`Worker`] knows.

mod error;
mod handle;
mod job_store;
mod manager;
mod metrics;
mod progress;
mod record;
mod stamp;
mod state;
mod table;
mod webhook;
mod worker;

use std::{path::PathBuf, time::Duration};

use crate::remote::Secret;

pub use error::{JobsError, Refusal};
pub use handle::Jobs;
pub use progress::{Event, Feed, Pieces, Progress};
pub use record::{Asker, Delivery, JobId, JobRequest, Order, Recording, View, Webhook, WebhookState};
pub use stamp::Stamp;
pub use state::{Phase, State};
pub use worker::{Failure, Worker};

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
    /// Times that a job may be begun and interrupted by a failure of the process or of the model.
    pub attempts: u32,
    /// The key that webhooks are signed with; without it there are none.
    pub webhook_secret: Option<Secret>,
}
