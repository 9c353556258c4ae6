//! The codec as a whole, in windows.

use std::ops::Range;

use candle_core::Result;

use super::{
    config::DacConfig,
    decoder::{Decoder, DecoderKind},
    encoder::Encoder,
    quantizer::Quantizer,
    sizes::Sizes,
    windows::{STEP, WINDOW, around, frames_at_once},
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
    pub(super) decoder: Decoder,
    /// Frames that a pass of the encoder makes, beside those around them.
    window: usize,
    /// Frames that a pass of the decoder makes.
    pub(super) step: usize,
    pub(super) context: ComputeContext,
}

// === impl Dac ===

impl Dac {
    /// `prefix`: what the names of its tensors begin with, with the dot. Sizes are read from the tensors; a `config` that
    /// says otherwise is refused. `of_decoder`: how that computes; codes are found as the loader's context says.
    pub fn load(
        loader: &mut Loader<'_>,
        of_decoder: &ComputeContext,
        prefix: &str,
        config: &DacConfig,
    ) -> Loaded<Self> {
        config.check()?;
        let sizes = Sizes::read(loader.weights, prefix)?;
        config.agree(&sizes)?;
        let layers = &sizes.layers;
        let encoder = Encoder::load(loader, &format!("{prefix}encoder"), layers)?;
        let quantizer = Quantizer::load(loader, of_decoder, &format!("{prefix}quantizer"), &sizes)?;
        let mut decoders = Loader { weights: &mut *loader.weights, context: of_decoder };
        Ok(Self {
            rate: config.sampling_rate,
            hop: layers.hop(),
            encoder,
            quantizer,
            decoder: Decoder::load(&mut decoders, &format!("{prefix}decoder"), layers, DecoderKind::Dac)?,
            window: frames_at_once(layers.widest(), WINDOW),
            step: frames_at_once(layers.widest(), STEP),
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
}

/// A range in parts of so many, the last of which may be shorter.
pub fn windows(range: Range<usize>, window: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(window).map(move |start| start..range.end.min(start + window))
}
