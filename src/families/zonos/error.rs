//! What of the network's faults is a request's.

use super::net::CodeError;
use crate::families::speech_error::SpeechError;

impl From<CodeError> for SpeechError {
    fn from(error: CodeError) -> Self {
        let param = match error {
            CodeError::Device(error) => return error.into(),
            CodeError::NoSuchPhoneme { .. } => "text",
            CodeError::Missing(_) | CodeError::Prefix { .. } => "options",
        };
        Self::invalid(param, error.to_string())
    }
}
