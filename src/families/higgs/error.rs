//! What can go wrong with a request, and what with the model.

use super::net::HiggsError;
use crate::model::{Broken, RequestError};

/// Why something was not said: the request is at fault, or the model is broken.
#[derive(Debug, thiserror::Error)]
pub enum SpeakError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

// === impl SpeakError ===

impl SpeakError {
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

impl From<HiggsError> for SpeakError {
    fn from(error: HiggsError) -> Self {
        let param = match error {
            HiggsError::Device(error) => return error.into(),
            HiggsError::NoSuchToken { .. } | HiggsError::Nothing => "text",
            HiggsError::NoSuchCode { .. } => "voice",
        };
        Self::invalid(param, error.to_string())
    }
}
