//! Why jobs cannot be kept, or one not taken.

use std::time::Duration;

use crate::speech::{Fault, Kind};

/// Why jobs cannot be kept here. Read by whoever starts the server.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    #[error("jobs.dir cannot be made at {path}: {source}")]
    Folder { path: String, source: std::io::Error },
    #[error(
        "another process keeps its jobs in {path}; give each its own jobs.dir, because what one writes the other would \
         lose"
    )]
    InUse { path: String },
    #[error(
        "the jobs in {path} cannot be opened: {reason}. Move the file away to start with none, or start the version that \
         wrote it"
    )]
    Open { path: String, reason: String },
    #[error("a metric could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Why something that was asked about jobs is not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no job {0:?}; GET /v1/jobs lists those that there are")]
    Unknown(String),
    #[error("{held} jobs wait or run, and no more are taken now; jobs.max_count sets the limit")]
    Full { held: usize },
    #[error("recordings and results of jobs take {held} bytes of {limit}; jobs.max_bytes sets the limit")]
    NoRoom { held: u64, limit: u64 },
    #[error("the job takes {bytes} bytes and all jobs together may take {limit}; jobs.max_bytes sets the limit")]
    TooLarge { bytes: u64, limit: u64 },
    #[error(
        "the job takes up to {need} bytes in jobs.dir, those before it included, where {free} are free; fewer stems, another \
         response_format, a shorter text, or an output_uri would be right"
    )]
    NoDisk { need: u64, free: u64 },
    #[error("the Idempotency-Key was used for another request; take a new key for each")]
    KeyReused,
    #[error("webhook.url {0}")]
    Webhook(String),
    #[error("the job could not be written down; the log of the server says why")]
    NotWritten,
    #[error("the server is stopping")]
    Stopping,
}

/// A queue of jobs moves on in seconds, not at once.
const SOON: Duration = Duration::from_secs(10);

impl Fault for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown(_) => Kind::NotFound,
            Self::Full { .. } | Self::NoRoom { .. } | Self::NoDisk { .. } => Kind::Busy,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::KeyReused | Self::Webhook(_) => Kind::Invalid,
            Self::NotWritten => Kind::Unavailable,
            Self::Stopping => Kind::Stopping,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { .. } | Self::NoRoom { .. } | Self::NoDisk { .. } | Self::NotWritten | Self::Stopping => {
                Some(SOON)
            }
            Self::Unknown(_) | Self::TooLarge { .. } | Self::KeyReused | Self::Webhook(_) => None,
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::KeyReused => Some("Idempotency-Key"),
            Self::Webhook(_) => Some("webhook"),
            _ => None,
        }
    }
}
