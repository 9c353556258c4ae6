//! What Chatterbox keeps of a reference recording.
//!
//! S3Gen continues the beginning of the recording: its tokens, its spectrum, and how its speaker sounds. T3 is given the
//! voice, heard in all of it, and some of its tokens. Recordings come in at both rates; who calls has resampled.

use candle_core::Result;

use super::{
    prompt_mel::{BANDS, PromptMel, RATE as RATE_24K},
    s3_tokenizer::{RATE as RATE_16K, S3Tokenizer},
    speaker_encoder::SpeakerEncoder,
    voice_encoder::VoiceEncoder,
};
use crate::nn::weights::{Loaded, Loader};

/// Seconds of a recording that S3Gen continues.
const CONTINUED_SECONDS: usize = 10;
/// Frames of the spectrum to a token.
const FRAMES_PER_TOKEN: usize = 2;

/// What T3 is given.
#[derive(Clone, Debug, PartialEq)]
pub struct VoicePrompt {
    /// The voice, of length 1.
    pub voice: Vec<f32>,
    /// What is said at the beginning.
    pub tokens: Vec<u32>,
}

/// What S3Gen is given.
#[derive(Clone, Debug, PartialEq)]
pub struct SpokenPrompt {
    /// What is said at the beginning.
    pub tokens: Vec<u32>,
    /// `[frames, BANDS]`, row by row; two frames to each token and at most one more.
    pub mel: Vec<f32>,
    /// How the speaker sounds; not yet of length 1.
    pub speaker: Vec<f32>,
}

/// How much of a recording's tokens T3 is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptLength {
    pub seconds: usize,
    pub tokens: usize,
}

/// A recording at both rates, mono.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    pub at_24k: &'a [f32],
    pub at_16k: &'a [f32],
}

/// The networks of S3Gen that listen.
pub struct Listener {
    pub tokenizer: S3Tokenizer,
    speaker: SpeakerEncoder,
    mel: PromptMel,
}

// === impl PromptLength ===

impl PromptLength {
    /// Of the English and the multilingual model.
    pub const LLAMA: Self = Self { seconds: 6, tokens: 150 };
    /// Of Turbo and Nano.
    pub const GPT2: Self = Self { seconds: 15, tokens: 375 };
}

// === impl Listener ===

impl Listener {
    /// From S3Gen's file; the tensors of what speaks are left in it.
    pub fn load(loader: &mut Loader<'_>) -> Loaded<Self> {
        Ok(Self {
            tokenizer: S3Tokenizer::load(loader, "tokenizer")?,
            speaker: SpeakerEncoder::load(loader, "speaker_encoder")?,
            mel: PromptMel::default(),
        })
    }

    /// What T3 is given.
    pub fn voice_prompt(
        &self,
        voice: &VoiceEncoder,
        recording: Recording<'_>,
        length: PromptLength,
    ) -> Result<VoicePrompt> {
        let beginning = first_seconds(recording.at_16k, length.seconds, RATE_16K);
        let tokens = self.tokenizer.tokenize_up_to(beginning, length.tokens)?;
        Ok(VoicePrompt { voice: voice.embed(recording.at_16k)?, tokens })
    }

    /// What S3Gen is given, the only one that voice conversion needs. A recording of less than a token is an error.
    pub fn spoken_prompt(&self, recording: Recording<'_>) -> Result<SpokenPrompt> {
        let at_24k = first_seconds(recording.at_24k, CONTINUED_SECONDS, RATE_24K);
        let at_16k = first_seconds(recording.at_16k, CONTINUED_SECONDS, RATE_16K);
        let mel = self.mel.compute(at_24k);
        let mut tokens = self.tokenizer.tokenize(at_16k)?;
        // A last token that is not all there has no frames of its own.
        tokens.truncate(mel.len() / BANDS / FRAMES_PER_TOKEN);
        if tokens.is_empty() {
            candle_core::bail!("{} samples at {RATE_24K} Hz are too few to be continued", at_24k.len());
        }
        Ok(SpokenPrompt { tokens, mel, speaker: self.speaker.embed(at_16k)? })
    }
}

fn first_seconds(samples: &[f32], seconds: usize, rate: u32) -> &[f32] {
    &samples[..samples.len().min(seconds * rate as usize)]
}

#[cfg(test)]
mod tests;
