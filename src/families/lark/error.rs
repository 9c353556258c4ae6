//! What a voice can do, and what it cannot.

use crate::{
    model::{LoadError, RequestError},
    nn::weights::WeightError,
};

/// Symbols in one sentence, at most: about half a minute.
pub const LONGEST_SENTENCE: usize = 512;

/// How fast a voice can speak, as a multiple of its own speed.
pub const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// What can be wrong with a voice, or with what it is to say.
#[derive(Debug, thiserror::Error)]
pub enum LarkError {
    #[error("config.json: {0}")]
    Config(String),
    #[error("the lexicon: {0}")]
    Lexicon(String),
    /// Of a voice that comes in files of its own.
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    #[error("there is no symbol {0:?} in the alphabet of this voice")]
    Symbol(char),
    #[error("{sound:?} in the pronunciation {ipa:?} is no sound of this voice; the IPA of English would be right")]
    Sound { sound: char, ipa: String },
    #[error("a sentence of {0} sounds is too long; at most {LONGEST_SENTENCE} are spoken in one go")]
    TooLong(usize),
    #[error("nothing in the text can be said")]
    Nothing,
    #[error("the speed {0} is out of range; {low} to {high} are possible", low = SPEEDS.start(), high = SPEEDS.end())]
    Speed(f32),
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

// === impl LarkError ===

/// While a voice is loaded.
impl From<LarkError> for LoadError {
    fn from(error: LarkError) -> Self {
        match error {
            LarkError::Weights(error) => error.into(),
            LarkError::Network(error) => Self::Device(error),
            LarkError::File { file, reason } => Self::Malformed { file, reason },
            LarkError::Lexicon(reason) => Self::Malformed { file: "lexicon.bin".to_owned(), reason },
            other => Self::Malformed { file: "config.json".to_owned(), reason: other.to_string() },
        }
    }
}

impl LarkError {
    /// What a caller is told; `Err` where the model itself is at fault.
    pub fn of_request(self) -> Result<RequestError, Self> {
        let param = match self {
            Self::TooLong(_) | Self::Nothing | Self::Symbol(_) | Self::Sound { .. } => "text",
            Self::Speed(_) => "speed",
            Self::Config(_) | Self::Lexicon(_) | Self::File { .. } | Self::Weights(_) | Self::Network(_) => {
                return Err(self);
            }
        };
        Ok(RequestError::Invalid { param, message: self.to_string() })
    }
}
