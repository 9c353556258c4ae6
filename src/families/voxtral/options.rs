//! What a caller asked, checked against what the model can do.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{config::Config, decoding_config::DecodingConfig, language};
use crate::{
    model::{Knob, RequestError},
    speech::{Timestamps, Transcribe, TranscribeMode},
};

/// What there is to say of [`VoxtralOptions`].
pub const KNOBS: &[Knob] = &[
    Knob::count("seed", 0.0, "0", "Of the dice at temperatures above 0"),
    Knob::count("max_new_tokens", 1.0, "as many as there is room for", "Tokens of the text, at most"),
];
/// Hertz that every Voxtral hears at.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples per mel frame.
pub const HOP: usize = SAMPLE_RATE as usize / 100;

/// A request that the model can answer.
#[derive(Clone, Debug)]
pub struct TranscriptionOptions {
    /// Windows that the recording fills, the last of them in part; 0 of a recording without a sample.
    pub windows: usize,
    /// Seconds.
    pub duration: f64,
    /// Code; the model finds out if absent.
    pub language: Option<String>,
    pub temperature: f32,
    /// Whether tokens are told with their log-probabilities.
    pub logprobs: bool,
    pub max_new_tokens: usize,
    pub seed: u64,
}

/// The knobs of this family: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct VoxtralOptions {
    /// Of the dice at temperatures above 0.
    seed: u64,
    /// At most as many as there is room for, which is the default.
    max_new_tokens: Option<usize>,
}

// === impl TranscriptionOptions ===

impl TranscriptionOptions {
    pub fn new(request: &Transcribe, decoding: &DecodingConfig) -> Result<Self, RequestError> {
        let Transcribe { audio, options: asked } = request;
        let refused = |param, message: &str| Err(RequestError::Unsupported { param, message: message.to_owned() });
        if asked.mode == TranscribeMode::Translate {
            return refused("task", "this model writes down what is said and does not translate; a Whisper does");
        }
        if asked.timestamps == Timestamps::Word {
            return refused("timestamps", "this model does not tell when a word is said; a Whisper does");
        }
        if asked.prompt.as_deref().is_some_and(|prompt| !prompt.trim().is_empty()) {
            return refused("prompt", "this model takes no prompt for a transcription");
        }
        let windows = windows(audio.samples().len(), decoding)?;
        let given = VoxtralOptions::parse(&asked.options)?;
        Ok(Self {
            windows,
            duration: audio.seconds(),
            language: asked.language.as_deref().map(language::code).transpose()?,
            temperature: asked.temperature.unwrap_or(0.0),
            logprobs: asked.logprobs,
            max_new_tokens: given.max_new_tokens(Config::max_new_tokens(windows))?,
            seed: given.seed,
        })
    }
}

fn windows(samples: usize, decoding: &DecodingConfig) -> Result<usize, RequestError> {
    let window = decoding.frames * HOP;
    let windows = samples.div_ceil(window);
    if windows <= decoding.longest {
        return Ok(windows);
    }
    let seconds = |samples: usize| samples as f64 / f64::from(SAMPLE_RATE);
    let (found, most) = (seconds(samples), seconds(decoding.longest * window));
    let message = format!("the recording has {found:.1} s, and this model hears at most {most} s at once");
    Err(RequestError::Invalid { param: "audio", message })
}

// === impl VoxtralOptions ===

impl VoxtralOptions {
    fn parse(given: &Map<String, Value>) -> Result<Self, RequestError> {
        serde_json::from_value(Value::Object(given.clone())).map_err(|error| invalid(format!("options: {error}")))
    }

    fn max_new_tokens(&self, most: usize) -> Result<usize, RequestError> {
        match self.max_new_tokens {
            Some(0) => Err(invalid("max_new_tokens is 0; at least 1 would be right".to_owned())),
            given => Ok(given.unwrap_or(most).min(most)),
        }
    }
}

fn invalid(message: String) -> RequestError {
    RequestError::Invalid { param: "options", message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_options_is_what_is_read() {
        crate::families::fixtures::assert_told::<VoxtralOptions>(KNOBS, &[]);
    }
}
