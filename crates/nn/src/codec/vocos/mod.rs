//! Vocos (Siuzdak, arXiv 2306.00814): vectors of a codec to sound, by way of a spectrum that is made frame by frame at one rate.
//!
//! Blocks of a ConvNeXt (`block`) see a few frames to either side; a layer after them says of each frequency how loud it is and
//! where its wave stands, and an inverse transform makes samples of that. Names of tensors are those of the package `vocos`.

mod block;
#[cfg(test)]
mod tests;

use std::ops::Range;

use candle_core::{DType, Result, Tensor};

use self::block::Block;
use super::dac::{
    codec::windows,
    windows::{STEP, around, frames_at_once},
};
use crate::{
    conv::{Conv1d, Conv1dConfig},
    linear::{Epilogue, Linear},
    norm::LayerNorm,
    stft::InverseMatrixStft,
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Of what norms divide by.
const EPSILON: f32 = 1e-6;
/// Hops of a window, as in every published one.
const HOPS: usize = 4;
/// No frequency is louder.
const LOUDEST: f32 = 1e2;

/// The weights.
#[derive(Debug)]
pub struct Vocos {
    embed: Conv1d,
    norm: LayerNorm,
    blocks: Vec<Block>,
    last_norm: LayerNorm,
    output: Linear,
    inverse: InverseMatrixStft,
    /// Frames to either side that a frame is made of.
    reach: usize,
    /// Frames that a pass makes, beside those around them.
    pub(super) step: usize,
    depth: usize,
}

// === impl Vocos ===

impl Vocos {
    /// Sizes are read from the tensors, under `backbone.` and `head.`; a hop is a quarter of the window.
    pub fn load(loader: &mut Loader<'_>) -> Loaded<Self> {
        let [width, depth, taps] = loader.weights.sizes("backbone.embed.weight")?;
        let around = Conv1dConfig { padding: (taps / 2, taps / 2), ..Conv1dConfig::same(depth, width, taps) };
        let embed = loader.conv1d("backbone.embed", around, Bias::Present)?;
        let of_block = |at: usize| format!("backbone.convnext.{at}");
        let count = loader.weights.count(|at| format!("{}.gamma", of_block(at)));
        // At least one, which is then found missing.
        let blocks = (0..count.max(1)).map(|at| Block::load(loader, &of_block(at), width, EPSILON));
        let blocks = blocks.collect::<Loaded<Vec<_>>>()?;
        let [bins] = loader.weights.sizes("head.out.bias")?;
        let size = bins.saturating_sub(2);
        if size == 0 || !size.is_multiple_of(2 * HOPS) {
            let reason = format!("has {bins} numbers, where two more than a multiple of {} are expected", 2 * HOPS);
            return Err(WeightError::tensor("head.out.bias", reason).into());
        }
        let window = loader.weights.take("head.istft.window", &[size])?;
        let reach = blocks.iter().map(Block::reach).sum::<usize>() + taps / 2 + HOPS / 2;
        let widest = blocks.iter().map(Block::widest).max().unwrap_or(width).max(size);
        Ok(Self {
            embed,
            norm: loader.layer_norm("backbone.norm", width, EPSILON)?,
            blocks,
            last_norm: loader.layer_norm("backbone.final_layer_norm", width, EPSILON)?,
            output: loader.linear("head.out", width, bins)?,
            inverse: InverseMatrixStft::new(window, size / HOPS, loader.context)?,
            reach,
            step: frames_at_once(widest, STEP),
            depth,
        })
    }

    /// Bytes of activations that decoding works with at once, at most, beside the weights.
    pub fn working_bytes() -> u64 {
        // The widest one some times over: what a layer is given and makes, and the spectrum in its parts.
        (6 * STEP * size_of::<f32>()) as u64
    }

    /// Numbers of a vector that it is given.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Samples of a frame.
    pub fn hop(&self) -> usize {
        self.inverse.hop()
    }

    /// `[frames, depth]` → [`Self::hop`] samples a frame.
    pub fn decode(&self, vectors: &Tensor) -> Result<Vec<f32>> {
        self.decode_each(vectors.dim(0)?, |some| vectors.narrow(0, some.start, some.len()))
    }

    /// The same of so many frames, each some of which `vectors` gives. However many there are, what a few seconds take is in
    /// memory.
    pub fn decode_each(&self, frames: usize, vectors: impl Fn(Range<usize>) -> Result<Tensor>) -> Result<Vec<f32>> {
        let mut sound = Vec::with_capacity(frames * self.hop());
        for wanted in windows(0..frames, self.step) {
            let heard = around(&wanted, (self.reach, self.reach), frames);
            let spectrum = self.spectrum(&vectors(heard.clone())?)?;
            let samples = self.inverse.same(&spectrum)?;
            let samples = samples.narrow(0, (wanted.start - heard.start) * self.hop(), wanted.len() * self.hop())?;
            sound.extend(samples.to_dtype(DType::F32)?.to_vec1::<f32>()?);
        }
        Ok(sound)
    }

    /// `[frames, depth]` → `[frames, size + 2]`: in each row the real parts of all frequencies, then the imaginary ones.
    fn spectrum(&self, vectors: &Tensor) -> Result<Tensor> {
        let x = self.norm.forward(&self.embed.forward(vectors, Epilogue::None)?)?;
        let x = self.blocks.iter().try_fold(x, |x, block| block.forward(&x))?;
        let said = self.output.forward(&self.last_norm.forward(&x)?, Epilogue::None)?;
        let bins = said.dim(1)? / 2;
        let loudness = said.narrow(1, 0, bins)?.exp()?.minimum(f64::from(LOUDEST))?;
        let place = said.narrow(1, bins, bins)?.contiguous()?;
        Tensor::cat(&[(&loudness * place.cos()?)?, (&loudness * place.sin()?)?], 1)
    }
}
