//! What can go wrong with a request for sound, and what with the model that makes it.

use crate::model::{Broken, RequestError};

/// Why a sound was not made: the request is at fault, or the model is broken.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

// === impl SpeechError ===

impl SpeechError {
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
