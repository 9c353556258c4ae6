//! Sound that is being made, whatever it is made of.

use super::{Answer, ServiceError, Speaking};
use crate::speech::{Convert, ModelName, SpeechEvent};

/// Sound that is being made. Dropping it tells the model to stop.
pub enum SoundStream {
    /// Of a text.
    Spoken(Box<Speaking>),
    /// Of a recording.
    Converted(Box<Answer<Convert>>),
}

// === impl SoundStream ===

impl SoundStream {
    /// Who makes it.
    pub fn model(&self) -> &ModelName {
        match self {
            Self::Spoken(speaking) => speaking.model(),
            Self::Converted(answer) => answer.model(),
        }
    }

    /// What marks it, where something does.
    pub fn watermark(&self) -> Option<&'static str> {
        match self {
            Self::Spoken(speaking) => speaking.watermark(),
            Self::Converted(answer) => answer.watermark(),
        }
    }

    /// Seconds of sound that it will be, where that is known before it is made.
    pub fn seconds(&self) -> Option<f64> {
        match self {
            Self::Spoken(_) => None,
            Self::Converted(answer) => Some(answer.seconds()),
        }
    }

    /// The next piece; `None` after [`SpeechEvent::Done`] or after an error.
    pub async fn next(&mut self) -> Option<Result<SpeechEvent, ServiceError>> {
        match self {
            Self::Spoken(speaking) => speaking.next().await,
            Self::Converted(answer) => answer.next().await,
        }
    }
}

impl From<Speaking> for SoundStream {
    fn from(speaking: Speaking) -> Self {
        Self::Spoken(Box::new(speaking))
    }
}

impl From<Answer<Convert>> for SoundStream {
    fn from(answer: Answer<Convert>) -> Self {
        Self::Converted(Box::new(answer))
    }
}
