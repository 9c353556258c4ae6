//! What can go wrong with a request, and what with the model.

use super::{
    t3::T3Error,
    text::{TextError, TokenizerError},
};
use crate::model::{Broken, LoadError, RequestError};

/// Why something was not said: the request is at fault, or the model is broken.
#[derive(Debug, thiserror::Error)]
pub enum ChatterboxError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

// === impl ChatterboxError ===

impl ChatterboxError {
    /// What a caller is told; `Err` where the model itself is at fault.
    pub fn of_request(self) -> Result<RequestError, Broken> {
        match self {
            Self::Request(error) => Ok(error),
            Self::Network(error) => Err(Broken(error.into())),
        }
    }
}

impl From<T3Error> for ChatterboxError {
    fn from(error: T3Error) -> Self {
        let param = match error {
            T3Error::Device(error) => return error.into(),
            T3Error::TextTooLong { .. } | T3Error::NoText | T3Error::NoSuchText { .. } => "text",
            T3Error::MaxNewTokens { .. } | T3Error::Option { .. } => "options",
            T3Error::Speaker { .. } | T3Error::ReferenceTooLong { .. } | T3Error::NoSuchSpeech { .. } => "voice",
        };
        RequestError::Invalid { param, message: error.to_string() }.into()
    }
}

impl From<TextError> for ChatterboxError {
    fn from(error: TextError) -> Self {
        let message = error.to_string();
        Self::Request(match error {
            TextError::UnspokenLanguage { .. } => RequestError::Unsupported { param: "language", message },
            TextError::UnknownLanguage { .. } => RequestError::Invalid { param: "language", message },
            TextError::Empty | TextError::Tokens(_) => RequestError::Invalid { param: "text", message },
        })
    }
}

/// While a model is loaded.
impl From<TokenizerError> for LoadError {
    fn from(TokenizerError { file, reason }: TokenizerError) -> Self {
        Self::Malformed { file, reason }
    }
}
