//! What a caller asked, checked against what the model can do.

use super::{fallback, fallback::Thresholds, options::Options, recipe::Recipe, segments::FRAMES_PER_STEP};
use crate::{
    model::{LoadError, RequestError},
    speech::{HEARING_RATE, Timestamps, Transcribe, TranscribeMode},
};

/// Samples per frame of 10 ms.
pub const HOP: usize = HEARING_RATE as usize / 100;

/// A request that the model can answer.
#[derive(Clone, Debug)]
pub struct WhisperRequest {
    /// Frames of 10 ms in the recording.
    pub frames: usize,
    /// Seconds.
    pub duration: f64,
    /// Code; to be detected if absent.
    pub language: Option<&'static str>,
    pub goal: TranscribeMode,
    /// Of the caller's prompt.
    pub prompt: Vec<u32>,
    /// To be tried in turn; never empty.
    pub temperatures: Vec<f32>,
    pub thresholds: Thresholds,
    pub carries_on: bool,
    /// Whether the decoder makes timestamps.
    pub timed: bool,
    pub words: bool,
    /// Whether tokens are told with their log-probabilities.
    pub logprobs: bool,
    pub seed: u64,
}

// === impl Request ===

impl WhisperRequest {
    pub fn new(ask: &Transcribe, recipe: &Recipe) -> Result<Self, RequestError> {
        let options = Options::parse(&ask.options)?;
        let frames = ask.audio.samples().len() / HOP;
        Ok(Self {
            frames,
            duration: ask.audio.seconds(),
            language: language(ask, recipe)?,
            goal: goal(ask, recipe)?,
            prompt: prompt(ask, recipe)?,
            temperatures: fallback::temperatures(temperature(ask)?),
            thresholds: options.thresholds(),
            carries_on: options.condition_on_previous_text,
            timed: ask.timestamps != Timestamps::None || frames > recipe.window,
            words: ask.timestamps == Timestamps::Word,
            logprobs: ask.logprobs,
            seed: options.seed,
        })
    }

    /// Positions of the encoder that hold sound, of `frames`.
    pub fn positions(frames: usize) -> usize {
        frames / FRAMES_PER_STEP
    }
}

/// English-only models hear English and need not detect it.
fn language(ask: &Transcribe, recipe: &Recipe) -> Result<Option<&'static str>, RequestError> {
    match &ask.language {
        Some(given) => recipe.tokens.language(given).map(Some),
        None if recipe.tokens.is_multilingual() => Ok(None),
        None => Ok(Some("en")),
    }
}

fn goal(ask: &Transcribe, recipe: &Recipe) -> Result<TranscribeMode, RequestError> {
    if ask.goal == TranscribeMode::Translate && !recipe.tokens.translates() {
        let message = "this model hears English only and does not translate; a multilingual model does".to_owned();
        return Err(RequestError::Unsupported { param: "task", message });
    }
    Ok(ask.goal)
}

/// Models without a token for earlier text take no prompt.
fn prompt(ask: &Transcribe, recipe: &Recipe) -> Result<Vec<u32>, RequestError> {
    let text = ask.prompt.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let Some(text) = text else { return Ok(Vec::new()) };
    if recipe.tokens.previous.is_none() {
        return Err(RequestError::Unsupported { param: "prompt", message: "this model takes no prompt".to_owned() });
    }
    recipe.tokens.encode(&format!(" {text}")).map_err(|error: LoadError| {
        tracing::warn!(%error, "a prompt could not be encoded");
        RequestError::Invalid { param: "prompt", message: "the prompt is not text that the model can read".to_owned() }
    })
}

fn temperature(ask: &Transcribe) -> Result<Option<f32>, RequestError> {
    match ask.temperature {
        Some(temperature) if !(0.0..=1.0).contains(&temperature) => Err(RequestError::Invalid {
            param: "temperature",
            message: format!("temperature is {temperature}, and must be from 0 to 1"),
        }),
        temperature => Ok(temperature),
    }
}
