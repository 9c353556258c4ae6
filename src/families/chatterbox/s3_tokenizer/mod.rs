//! What is said, as 25 tokens a second: the S3 tokenizer v2 of CosyVoice 2 (Du et al., arXiv 2412.10117).
//!
//! A log-mel as Whisper's goes through two convolutions, which leave a quarter of its frames, and through transformer
//! layers that see a whole window; each state becomes a token.

mod block;
mod encoder;
mod quantizer;
mod windows;

use candle_core::{Result, Tensor};

use self::{encoder::Encoder, quantizer::Quantizer};
use crate::{
    audio::{LogMel, MelSpec},
    nn::{
        ComputeContext,
        weights::{Loaded, Loader},
    },
};

/// Samples per second of what is listened to.
pub const RATE: u32 = 16_000;

/// The weights of the tokenizer.
pub struct S3Tokenizer {
    mel: LogMel,
    encoder: Encoder,
    quantizer: Quantizer,
    context: ComputeContext,
}

// === impl S3Tokenizer ===

impl S3Tokenizer {
    /// `name`: what the names of its tensors begin with, without the dot.
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        // The filters are computed, as those of every other model: files differ in how far these were rounded.
        loader.weights.ignore(&format!("{name}._mel_filters"));
        loader.weights.ignore(&format!("{name}.window"));
        let encoder = Encoder::load(loader, &format!("{name}.encoder"))?;
        Ok(Self {
            mel: LogMel::new(&MelSpec::whisper(encoder.bands())),
            quantizer: Quantizer::load(loader, &format!("{name}.quantizer"), encoder.width())?,
            encoder,
            context: loader.context.clone(),
        })
    }

    /// How many tokens there are: each is less.
    pub fn vocabulary(&self) -> u32 {
        self.quantizer.tokens()
    }

    /// The tokens of a recording at [`RATE`]: one for every 40 ms, a rest of at least 10 ms makes one more. What a long
    /// recording takes beside its samples is its log-mel and the work on a window of 30 s.
    pub fn tokenize(&self, samples: &[f32]) -> Result<Vec<u32>> {
        self.tokenize_up_to(samples, usize::MAX)
    }

    /// The same of the first `most` tokens' frames; how loud all of the recording is still counts.
    pub fn tokenize_up_to(&self, samples: &[f32], most: usize) -> Result<Vec<u32>> {
        let mel = self.log_mel(samples)?;
        let frames = mel.dim(1)?.min(windows::frames(most));
        let mut tokens = Vec::with_capacity(windows::tokens(frames));
        for window in windows::windows(frames).into_iter().filter(|window| !window.tokens.is_empty()) {
            let states = self.states(&mel.narrow(1, window.frames.start, window.frames.len())?)?;
            let kept = states.narrow(0, window.tokens.start, window.tokens.len())?;
            tokens.extend(self.quantizer.quantize(&kept)?);
        }
        Ok(tokens)
    }

    /// `[bands, frames]`
    pub(super) fn log_mel(&self, samples: &[f32]) -> Result<Tensor> {
        let mel = self.mel.log_mel(samples);
        let shape = [mel.bands(), mel.frames()];
        self.context.tensor(mel.into_values(), &shape)
    }

    /// What becomes tokens: `[bands, frames]` → `[tokens, width]`.
    pub(super) fn states(&self, mel: &Tensor) -> Result<Tensor> {
        self.encoder.forward(&mel.t()?.contiguous()?, &self.context)
    }
}
