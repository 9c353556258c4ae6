//! What can go wrong with a request, and what with the model.

use super::net::CodeError;
use crate::model::{Broken, RequestError};

/// Why something was not said: the request is at fault, or the model is broken.
#[derive(Debug, thiserror::Error)]
pub enum ZonosError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

// === impl ZonosError ===

impl ZonosError {
    /// What a caller is told; `Err` where the model itself is at fault.
    pub fn of_request(self) -> Result<RequestError, Broken> {
        match self {
            Self::Request(error) => Ok(error),
            Self::Network(error) => Err(Broken(error.into())),
        }
    }
}

impl From<CodeError> for ZonosError {
    fn from(error: CodeError) -> Self {
        let param = match error {
            CodeError::Device(error) => return error.into(),
            CodeError::NoSuchPhoneme { .. } => "text",
            CodeError::Missing(_) | CodeError::Prefix { .. } => "options",
        };
        RequestError::Invalid { param, message: error.to_string() }.into()
    }
}
