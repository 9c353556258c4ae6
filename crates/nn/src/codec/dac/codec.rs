//! The codec as a whole, in windows.

use std::ops::Range;

use candle_core::{DType, Result};

use super::{
    config::DacConfig,
    decoder::Decoder,
    encoder::Encoder,
    quantizer::Quantizer,
    sizes::Sizes,
    windows::{around, frames_at_once},
};
use crate::{
    context::ComputeContext,
    weights::{Loaded, Loader},
};

/// The weights of a codec.
#[derive(Debug)]
pub struct Dac {
    rate: u32,
    hop: usize,
    pub(super) encoder: Encoder,
    pub(super) quantizer: Quantizer,
    decoder: Decoder,
    /// Frames that a pass makes, beside those around them.
    pub(super) window: usize,
    context: ComputeContext,
}

// === impl Dac ===

impl Dac {
    /// `prefix`: what the names of its tensors begin with, with the dot. Sizes are read from the tensors; a `config` that
    /// says otherwise is refused.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &DacConfig) -> Loaded<Self> {
        config.check()?;
        let sizes = Sizes::read(loader.weights, prefix)?;
        config.agree(&sizes)?;
        Ok(Self {
            rate: config.sampling_rate,
            hop: sizes.hop(),
            encoder: Encoder::load(loader, &format!("{prefix}encoder"), &sizes)?,
            quantizer: Quantizer::load(loader, &format!("{prefix}quantizer"), &sizes)?,
            decoder: Decoder::load(loader, &format!("{prefix}decoder"), &sizes)?,
            window: frames_at_once(sizes.widest()),
            context: loader.context.clone(),
        })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples of a frame.
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Codes of a frame, one of each book.
    pub fn books(&self) -> usize {
        self.quantizer.books()
    }

    /// How many codes a book has.
    pub fn codes(&self) -> usize {
        self.quantizer.codes()
    }

    /// Frames before and after a frame that its sound depends on.
    pub fn reach(&self) -> (usize, usize) {
        self.decoder.reach()
    }

    /// `[frames, books]` of samples at [`Self::rate`]. Zeros follow the last, up to a whole frame.
    pub fn encode(&self, samples: &[f32]) -> Result<Vec<u32>> {
        self.encode_by(samples, self.window)
    }

    /// The samples of `[frames, books]`, [`Self::hop`] a frame. (Where a stage goes up by an odd number, as none of the
    /// published ones of 44.1 kHz does, the last frame is a few samples shorter.)
    ///
    /// # Errors
    /// For codes that no book has, and a last frame that has too few.
    pub fn decode(&self, codes: &[u32]) -> Result<Vec<f32>> {
        let frames = self.quantizer.frames(codes)?;
        self.decode_by(codes, 0..frames, self.window)
    }

    pub(super) fn encode_by(&self, samples: &[f32], window: usize) -> Result<Vec<u32>> {
        let frames = samples.len().div_ceil(self.hop);
        let mut codes = Vec::with_capacity(frames * self.books());
        for wanted in windows(0..frames, window) {
            let heard = around(&wanted, self.encoder.reach(), frames);
            let latents = self.encoder.forward(&self.context, samples, &heard)?;
            let latents = latents.narrow(0, wanted.start - heard.start, wanted.len())?;
            codes.extend(self.quantizer.encode(&latents, &self.context)?);
        }
        Ok(codes)
    }

    /// The samples of the frames `wanted` among those that are there.
    pub(super) fn decode_by(&self, codes: &[u32], wanted: Range<usize>, window: usize) -> Result<Vec<f32>> {
        let frames = codes.len() / self.books();
        let mut sound = Vec::with_capacity(wanted.len() * self.hop);
        for wanted in windows(wanted, window) {
            let heard = around(&wanted, self.reach(), frames);
            let heard_codes = &codes[heard.start * self.books()..heard.end * self.books()];
            let latents = self.quantizer.decode(heard_codes, &self.context)?;
            let samples = self.decoder.forward(&latents)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            let end = if wanted.end == frames { samples.len() } else { (wanted.end - heard.start) * self.hop };
            sound.extend_from_slice(&samples[(wanted.start - heard.start) * self.hop..end]);
        }
        Ok(sound)
    }
}

/// A range in parts of so many, the last of which may be shorter.
fn windows(range: Range<usize>, window: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(window).map(move |start| start..range.end.min(start + window))
}
