//! What of the network's faults is a request's.

use super::net::HiggsError;
use crate::families::speech_error::SpeechError;

impl From<HiggsError> for SpeechError {
    fn from(error: HiggsError) -> Self {
        let param = match error {
            HiggsError::Device(error) => return error.into(),
            HiggsError::NoSuchToken { .. } | HiggsError::Nothing => "text",
            HiggsError::NoSuchCode { .. } => "voice",
        };
        Self::invalid(param, error.to_string())
    }
}
