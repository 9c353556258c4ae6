//! A convolution of each channel by itself.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::{
    context::ComputeContext,
    cpu::{depthwise::weigh_frames, detect::SimdLevel, matrix::with_rows},
};

/// Frames that one task takes.
const BLOCK_FRAMES: usize = 32;

/// A convolution of each channel by itself, `[frames, channels]` → `[out, channels]`.
#[derive(Debug)]
pub struct DepthwiseConv1d {
    config: DepthwiseConv1dConfig,
    weight: Weight,
}

/// The sizes of a convolution of each channel by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv1dConfig {
    pub channels: usize,
    /// Frames that an output frame is made of.
    pub taps: usize,
    /// Frames of zeros before the first and after the last.
    pub padding: (usize, usize),
}

/// `[taps, channels]`, `[channels]`
#[derive(Debug)]
enum Weight {
    Kernel { level: SimdLevel, taps: Vec<f32>, bias: Vec<f32> },
    Tensors { taps: Tensor, bias: Tensor },
}

// === impl DepthwiseConv1d ===

impl DepthwiseConv1d {
    /// `weight`: `[channels, taps]`, row by row.
    pub fn new(
        weight: &[f32],
        bias: Option<Vec<f32>>,
        config: DepthwiseConv1dConfig,
        context: &ComputeContext,
    ) -> Result<Self> {
        let DepthwiseConv1dConfig { channels, taps: count, .. } = config;
        let taps = (0..count).flat_map(|tap| weight.iter().skip(tap).step_by(count).copied()).collect::<Vec<_>>();
        let bias = bias.unwrap_or_else(|| vec![0.0; channels]);
        let weight = match context.kernels {
            Some(level) => Weight::Kernel { level, taps, bias },
            None => {
                let taps = context.tensor(taps, &[count, channels])?;
                Weight::Tensors { taps, bias: context.tensor(bias, &[channels])? }
            }
        };
        Ok(Self { config, weight })
    }

    /// Taps `[taps, channels]` and bias, for a step.
    #[cfg(feature = "cuda")]
    pub fn tensors(&self) -> Result<[&Tensor; 2]> {
        match &self.weight {
            Weight::Tensors { taps, bias } => Ok([taps, bias]),
            Weight::Kernel { .. } => candle_core::bail!("a convolution is not on the GPU"),
        }
    }

    /// `[frames, channels]` → `[out, channels]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let DepthwiseConv1dConfig { channels, taps: count, padding: (before, after) } = self.config;
        let padded = x.pad_with_zeros(0, before, after)?;
        let Some(out) = (padded.dim(0)? + 1).checked_sub(count) else {
            candle_core::bail!("{:?} was given {} frames", self.config, x.dim(0)?)
        };
        match &self.weight {
            Weight::Tensors { taps, bias } => (0..count).try_fold(bias.broadcast_as((out, channels))?, |sum, tap| {
                sum + padded.narrow(0, tap, out)?.broadcast_mul(&taps.get(tap)?)?
            }),
            Weight::Kernel { level, taps, bias } => {
                let mut made = bias.repeat(out);
                with_rows(&padded, |x| {
                    let blocks = made.par_chunks_mut(BLOCK_FRAMES * channels).enumerate();
                    blocks.for_each(|(block, out)| {
                        let frames = &x.data[block * BLOCK_FRAMES * channels..];
                        weigh_frames(*level, frames, taps, channels, out);
                    });
                })?;
                Tensor::from_vec(made, (out, channels), x.device())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    #[test]
    fn it_is_the_grouped_convolution_of_candle() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        for (channels, taps, frames) in [(5, 7, 3), (64, 31, 70), (40, 3, 33)] {
            let around = taps / 2;
            let config = DepthwiseConv1dConfig { channels, taps, padding: (around, around) };
            let x = Tensor::from_vec(numbers(frames * channels), (frames, channels), &Device::Cpu)?;
            let weight = Tensor::from_vec(numbers(channels * taps), (channels, 1, taps), &Device::Cpu)?;
            let expected =
                x.t()?.unsqueeze(0)?.contiguous()?.conv1d(&weight, around, 1, 1, channels)?.squeeze(0)?.t()?;
            let levels = SimdLevel::available().iter().copied().map(Some).chain([None]);
            for kernels in levels {
                let context = ComputeContext { kernels, ..context.clone() };
                let conv = DepthwiseConv1d::new(&numbers(channels * taps), None, config, &context)?;
                let difference = (conv.forward(&x)? - &expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-4, "{config:?}, {kernels:?}: {difference}");
            }
        }
        Ok(())
    }
}
