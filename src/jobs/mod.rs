//! Requests that outlive a connection: taken down, worked on when there is room, and kept for a time.
//!
//! `state` is what may become of a job and `table` what may become of all of them; both are pure. One task, the `manager`,
//! owns the table, writes every change into the `job_store` before anybody sees it, and starts what is due. What the
//! work *is*, the [`Worker`] knows.

mod config;
mod error;
mod handle;
mod job_store;
mod kept;
mod manager;
mod metrics;
mod pieces;
mod progress;
mod record;
mod state;
mod table;
mod timestamp;
mod webhook;
mod worker;

pub use config::Config;
pub use error::{JobsError, Refusal};
pub use handle::Jobs;
pub use pieces::Pieces;
pub use progress::{Event, Feed, PartialSound, Progress, Sections};
pub use record::{Delivery, Estimate, JobId, JobRequest, Principal, Recording, View, Webhook, WebhookState, WorkItem};
pub use state::{Phase, State};
pub use timestamp::Timestamp;
pub use worker::Worker;
