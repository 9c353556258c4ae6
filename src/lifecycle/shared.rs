//! What the driver publishes, and handles read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Metrics, Snapshot, lease_pool::Wake};

/// What the driver publishes.
pub(super) struct Shared {
    /// For probes, which never wait.
    pub now: ArcSwap<Snapshot>,
    /// For those who follow.
    pub changes: watch::Sender<Arc<Snapshot>>,
    /// Why the process is to end.
    pub fatal: watch::Sender<Option<String>>,
    pub metrics: Metrics,
    pub wake: Wake,
}
