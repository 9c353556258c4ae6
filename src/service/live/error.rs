//! Why a session does not do what is asked.

use std::time::Duration;

use super::{room::NoPlace, turns::TurnError};
use crate::{
    service::{OutOfMemory, OverAllowance, ServiceError},
    speech::{Fault, Kind},
};

/// Why a session does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error(transparent)]
    Place(#[from] NoPlace),
    #[error(transparent)]
    Turn(#[from] TurnError),
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    #[error(transparent)]
    Allowance(#[from] OverAllowance),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

// === impl LiveError ===

impl LiveError {
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Place(error) => Some(error),
            Self::Turn(_) => None,
            Self::Memory(error) => Some(error),
            Self::Allowance(error) => Some(error),
            Self::Service(error) => Some(error),
        }
    }
}

impl Fault for LiveError {
    fn kind(&self) -> Kind {
        match self {
            Self::Turn(TurnError::Full { .. }) => Kind::TooLarge,
            _ => self.inner().map_or(Kind::Invalid, Fault::kind),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.inner().and_then(Fault::retry_after)
    }

    fn permanent(&self) -> bool {
        self.inner().is_none_or(Fault::permanent)
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Turn(_) => Some("audio"),
            _ => self.inner().and_then(Fault::param),
        }
    }
}
