//! What can go wrong with a request, and what with the model.

use crate::model::{Broken, RequestError};

/// Why something was not sung: the request is at fault, or the model is broken.
#[derive(Debug, thiserror::Error)]
pub enum SingError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

// === impl SingError ===

impl SingError {
    pub fn invalid(param: &'static str, message: String) -> Self {
        RequestError::Invalid { param, message }.into()
    }

    /// What a caller is told; `Err` where the model itself is at fault.
    pub fn of_request(self) -> Result<RequestError, Broken> {
        match self {
            Self::Request(error) => Ok(error),
            Self::Network(error) => Err(Broken(error.into())),
        }
    }
}
