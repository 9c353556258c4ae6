//! What handles ask of the driver.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{Config, ModelSpec, Unavailable, lease_pool::LeaseGuard, machine::WaitCondition};
use crate::speech::ModelName;

/// `Some` for a lease, `None` for every other condition.
pub(super) type Reply<E> = Result<Option<Granted<E>>, Unavailable>;

/// A lease that was given.
pub(super) struct Granted<E> {
    pub guard: LeaseGuard<E>,
    /// The caller was one of those who waited for the model, and was counted as such.
    pub in_line: bool,
}

/// What handles ask of the driver.
pub(super) enum Command<E> {
    Ask { name: ModelName, condition: WaitCondition, explicit: bool, asked: AcquireRequest<E> },
    Update { name: ModelName, revision: Option<String>, asked: AcquireRequest<E> },
    Configure { config: Config, specs: Vec<Arc<ModelSpec>>, done: oneshot::Sender<()> },
    Drain,
    Stop,
}

/// How long a caller waits for its answer, and where that goes.
pub(super) struct AcquireRequest<E> {
    pub timeout: Option<Duration>,
    pub reply: oneshot::Sender<Reply<E>>,
}
