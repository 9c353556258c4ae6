//! What a caller asked, checked against what the model can do.

use super::{
    decoding_config::DecodingConfig, fallback, fallback::Thresholds, filters::RepetitionRules, options::WhisperOptions,
    search::SearchOptions, segments::FRAMES_PER_STEP,
};
use crate::{
    model::{LoadError, RequestError},
    speech::{Timestamps, Transcribe, TranscribeMode, TranscribeOptions},
};

/// Hertz that every Whisper hears at.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples per frame of 10 ms.
pub const HOP: usize = SAMPLE_RATE as usize / 100;

/// A request that the model can answer.
#[derive(Clone, Debug)]
pub struct TranscriptionOptions {
    /// Frames of 10 ms in the recording.
    pub frames: usize,
    /// Seconds.
    pub duration: f64,
    /// Code; to be detected if absent.
    pub language: Option<&'static str>,
    pub mode: TranscribeMode,
    /// Of the caller's prompt.
    pub prompt: Vec<u32>,
    /// To be tried in turn; never empty.
    pub temperatures: Vec<f32>,
    pub thresholds: Thresholds,
    pub search: SearchOptions,
    pub repetition: RepetitionRules,
    /// Of words that each window is told.
    pub hotwords: Vec<u32>,
    pub condition_on_previous_text: bool,
    /// Positions that the encoder sees of a window, at least; 0: all.
    pub audio_ctx: usize,
    /// Whether the decoder makes timestamps.
    pub timestamps: bool,
    pub word_timestamps: bool,
    /// Seconds of silence around a text that is no speech; absent: whatever is heard is believed.
    pub silence: Option<f64>,
    /// Whether tokens are told with their log-probabilities.
    pub logprobs: bool,
    pub seed: u64,
}

// === impl TranscriptionOptions ===

impl TranscriptionOptions {
    pub fn new(request: &Transcribe, decoding: &DecodingConfig) -> Result<Self, RequestError> {
        let Transcribe { audio, options: asked } = request;
        let given = WhisperOptions::parse(&asked.options)?;
        let frames = audio.samples().len() / HOP;
        Ok(Self {
            frames,
            duration: audio.seconds(),
            language: language(asked, decoding)?,
            mode: mode(asked, decoding)?,
            prompt: earlier_text("prompt", asked.prompt.as_deref(), decoding)?,
            temperatures: fallback::temperatures(temperature(asked)?),
            thresholds: given.thresholds(),
            search: given.search(),
            repetition: given.repetition(),
            hotwords: earlier_text("options", given.hotwords.as_deref(), decoding)?,
            condition_on_previous_text: given.condition_on_previous_text,
            audio_ctx: given.audio_ctx,
            timestamps: asked.timestamps != Timestamps::None || frames > decoding.window,
            word_timestamps: asked.timestamps == Timestamps::Word,
            silence: given.hallucination_silence_threshold.filter(|seconds| *seconds > 0.0),
            logprobs: asked.logprobs,
            seed: given.seed,
        })
    }

    /// Positions of the encoder that hold sound, of `frames`.
    pub fn positions(frames: usize) -> usize {
        frames / FRAMES_PER_STEP
    }
}

/// English-only models hear English and need not detect it.
fn language(asked: &TranscribeOptions, decoding: &DecodingConfig) -> Result<Option<&'static str>, RequestError> {
    match &asked.language {
        Some(given) => decoding.tokens.language(given).map(Some),
        None if decoding.tokens.is_multilingual() => Ok(None),
        None => Ok(Some("en")),
    }
}

fn mode(asked: &TranscribeOptions, decoding: &DecodingConfig) -> Result<TranscribeMode, RequestError> {
    if asked.mode == TranscribeMode::Translate && !decoding.tokens.translates() {
        let message = "this model hears English only and does not translate; a multilingual model does".to_owned();
        return Err(RequestError::Unsupported { param: "task", message });
    }
    Ok(asked.mode)
}

/// What the decoder is to take for text before the window. Models without a token for it take none.
fn earlier_text(param: &'static str, given: Option<&str>, decoding: &DecodingConfig) -> Result<Vec<u32>, RequestError> {
    let text = given.map(str::trim).filter(|text| !text.is_empty());
    let Some(text) = text else { return Ok(Vec::new()) };
    if decoding.tokens.sot_prev.is_none() {
        return Err(RequestError::Unsupported { param, message: "this model takes no prompt".to_owned() });
    }
    decoding.tokens.encode(&format!(" {text}")).map_err(|error: LoadError| {
        tracing::warn!(%error, "a prompt could not be encoded");
        RequestError::Invalid { param, message: "the prompt is not text that the model can read".to_owned() }
    })
}

fn temperature(asked: &TranscribeOptions) -> Result<Option<f32>, RequestError> {
    match asked.temperature {
        Some(temperature) if !(0.0..=1.0).contains(&temperature) => Err(RequestError::Invalid {
            param: "temperature",
            message: format!("temperature is {temperature}, and must be from 0 to 1"),
        }),
        temperature => Ok(temperature),
    }
}
