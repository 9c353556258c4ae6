//! What a model is doing.

use std::time::{Duration, Instant};

use super::{Attempt, Failure, Progress, Stock, TargetState, Unavailable, VersionId, Waiter};
use crate::{
    lifecycle::{Obstacle, Status, TooLarge},
    speech::ModelName,
};

/// What a model is doing; the diagram is in [`machine`](crate::lifecycle::machine).
pub(super) enum Phase<R, F> {
    /// Not in memory. With `stock`: its files are here.
    Absent {
        stock: Option<Stock<F>>,
    },
    Downloading {
        attempt: Attempt,
        since: Instant,
        progress: Progress,
        target: TargetState,
        waiters: Vec<Waiter>,
    },
    /// Waits for room.
    Fetched {
        since: Instant,
        stock: Stock<F>,
        target: TargetState,
        /// Those that went for it.
        displaced: Vec<VersionId>,
        waiters: Vec<Waiter>,
    },
    Loading {
        attempt: Attempt,
        since: Instant,
        stock: Stock<F>,
        displaced: Vec<VersionId>,
        waiters: Vec<Waiter>,
    },
    Ready {
        attempt: Attempt,
        since: Instant,
        stock: Stock<F>,
        resource: R,
        usage: Usage,
    },
    /// In use, and to go when that ends.
    Draining {
        attempt: Attempt,
        since: Instant,
        stock: Stock<F>,
        resource: R,
        waiters: Vec<Waiter>,
    },
    /// Its memory is not free yet.
    Unloading {
        attempt: Attempt,
        since: Instant,
        stock: Stock<F>,
        waiters: Vec<Waiter>,
    },
    /// `retry_at`: when the next request may try again; `None`: only an explicit ask. With `stock`: its files are here
    /// and whole, as far as is known.
    Failed {
        since: Instant,
        stock: Option<Stock<F>>,
        failure: Refusal,
        retry_at: Option<Instant>,
    },
}

/// Why a model failed, as its callers are told.
#[derive(Clone)]
pub(super) enum Refusal {
    Failure(Failure),
    WontFit { size: TooLarge, budget: u64 },
}

/// Whether leases exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Leased,
    Idle { since: Instant },
}

// === impl Phase ===

impl<R, F> Phase<R, F> {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Absent { .. } | Self::Draining { .. } | Self::Unloading { .. } => Status::NotLoaded,
            Self::Downloading { .. } => Status::Downloading,
            Self::Fetched { .. } | Self::Loading { .. } => Status::Loading,
            Self::Ready { .. } => Status::Ready,
            Self::Failed { .. } => Status::Failed,
        }
    }

    pub(super) fn since(&self) -> Option<Instant> {
        match self {
            Self::Absent { .. } => None,
            Self::Downloading { since, .. }
            | Self::Fetched { since, .. }
            | Self::Loading { since, .. }
            | Self::Ready { since, .. }
            | Self::Draining { since, .. }
            | Self::Unloading { since, .. }
            | Self::Failed { since, .. } => Some(*since),
        }
    }

    /// Of what is under way or in memory.
    pub(super) fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::Absent { .. } | Self::Fetched { .. } | Self::Failed { .. } => None,
            Self::Downloading { attempt, .. }
            | Self::Loading { attempt, .. }
            | Self::Ready { attempt, .. }
            | Self::Draining { attempt, .. }
            | Self::Unloading { attempt, .. } => Some(*attempt),
        }
    }

    pub(super) fn stock(&self) -> Option<&Stock<F>> {
        match self {
            Self::Absent { stock } | Self::Failed { stock, .. } => stock.as_ref(),
            Self::Fetched { stock, .. }
            | Self::Loading { stock, .. }
            | Self::Ready { stock, .. }
            | Self::Draining { stock, .. }
            | Self::Unloading { stock, .. } => Some(stock),
            Self::Downloading { .. } => None,
        }
    }

    pub(super) fn waiters(&self) -> &[Waiter] {
        match self {
            Self::Downloading { waiters, .. }
            | Self::Fetched { waiters, .. }
            | Self::Loading { waiters, .. }
            | Self::Draining { waiters, .. }
            | Self::Unloading { waiters, .. } => waiters,
            Self::Absent { .. } | Self::Ready { .. } | Self::Failed { .. } => &[],
        }
    }

    pub(super) fn waiters_mut(&mut self) -> Option<&mut Vec<Waiter>> {
        match self {
            Self::Downloading { waiters, .. }
            | Self::Fetched { waiters, .. }
            | Self::Loading { waiters, .. }
            | Self::Draining { waiters, .. }
            | Self::Unloading { waiters, .. } => Some(waiters),
            Self::Absent { .. } | Self::Ready { .. } | Self::Failed { .. } => None,
        }
    }
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Failure(failure) => failure.reason.clone(),
            Self::WontFit { size: TooLarge { need, device }, budget } => {
                format!("it needs {need} of memory on {device}, where all models together may take {budget}")
            }
        }
    }

    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::Failure(failure) => failure.obstacle.clone(),
            Self::WontFit { size, .. } => Some(Obstacle::TooLarge(size.clone())),
        }
    }

    pub(super) fn told(&self, model: &ModelName, retry_after: Option<Duration>) -> Unavailable {
        let model = model.clone();
        match self {
            Self::WontFit { size: TooLarge { need, device }, budget } => {
                Unavailable::WontFit { model, need: *need, budget: *budget, device: device.to_string() }
            }
            Self::Failure(failure) => {
                let (reason, permanent) = (failure.reason.clone(), failure.permanent);
                Unavailable::Failed { model, reason, retry_after, permanent }
            }
        }
    }

    /// To those who wanted another version.
    pub(super) fn told_of_update(&self, model: &ModelName) -> Unavailable {
        match self {
            Self::WontFit { .. } => self.told(model, None),
            Self::Failure(Failure { reason, permanent, .. }) => {
                Unavailable::NotUpdated { model: model.clone(), reason: reason.clone(), permanent: *permanent }
            }
        }
    }
}
