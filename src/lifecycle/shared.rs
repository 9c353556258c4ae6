//! What the driver publishes, and handles read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Metrics, Snapshot, lease_pool::Wake};
use crate::runtime::DeviceHealth;

/// What the driver publishes.
pub(super) struct Shared {
    /// For probes, which never wait.
    pub now: ArcSwap<Snapshot>,
    /// For those who follow.
    pub changes: watch::Sender<Arc<Snapshot>>,
    /// Why the process is to end.
    pub fatal: watch::Sender<Option<String>>,
    /// Of the devices that models live on.
    pub health: Arc<DeviceHealth>,
    pub metrics: Metrics,
    pub wake: Wake,
}
