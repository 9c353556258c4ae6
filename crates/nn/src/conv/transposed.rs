//! A transposed convolution, which makes several frames of one.
//!
//! The frames that come out at a distance of the stride are each a plain convolution of those that come in, over every
//! `stride`-th tap; all of these are one convolution, whose channels are the frames of a stride side by side.

use candle_core::{Result, Tensor};

use super::conv1d::{Conv1d, Conv1dConfig};
use crate::{context::ComputeContext, linear::Epilogue};

/// A transposed convolution `[frames, depth]` → `[out, columns]`.
#[derive(Debug)]
pub struct ConvTranspose1d {
    config: ConvTranspose1dConfig,
    phases: Conv1d,
}

/// The sizes of a transposed convolution, as PyTorch names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTranspose1dConfig {
    /// Channels that come in.
    pub depth: usize,
    /// Channels that go out.
    pub columns: usize,
    /// Frames that a frame is spread over.
    pub taps: usize,
    /// Frames that come out for each that comes in.
    pub stride: usize,
    /// Frames that are left out at both ends.
    pub padding: usize,
    /// Frames that follow at the end all the same.
    pub output_padding: usize,
}

// === impl ConvTranspose1dConfig ===

impl ConvTranspose1dConfig {
    /// Of weights: `[depth, columns, taps]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.depth, self.columns, self.taps]
    }

    /// Frames that come out of so many.
    pub fn frames(&self, frames: usize) -> usize {
        let all = frames.saturating_sub(1) * self.stride + self.taps + self.output_padding;
        all.saturating_sub(2 * self.padding)
    }

    /// Frames that come in that one that goes out is made of, at most.
    fn taps_of_phase(&self) -> usize {
        self.taps.div_ceil(self.stride)
    }

    /// Of `[depth, columns, taps]` as `[stride, columns, depth, taps of a phase]`, the last first in time.
    fn by_phase(&self, weight: &[f32]) -> Vec<f32> {
        let taps = self.taps_of_phase();
        let mut by_phase = Vec::with_capacity(self.stride * self.columns * self.depth * taps);
        for phase in 0..self.stride {
            for column in 0..self.columns {
                for depth in 0..self.depth {
                    let from = &weight[(depth * self.columns + column) * self.taps..][..self.taps];
                    let tap = |back: usize| from.get(phase + self.stride * back).copied().unwrap_or(0.0);
                    by_phase.extend((0..taps).rev().map(tap));
                }
            }
        }
        by_phase
    }
}

// === impl ConvTranspose1d ===

impl ConvTranspose1d {
    /// `weight`: `[depth, columns, taps]`, row by row.
    pub fn new(
        weight: &[f32],
        bias: Option<&[f32]>,
        config: ConvTranspose1dConfig,
        context: &ComputeContext,
    ) -> Result<Self> {
        let ConvTranspose1dConfig { depth, columns, taps, stride, padding, output_padding } = config;
        if stride == 0 || taps == 0 || taps + output_padding > padding + config.taps_of_phase() * stride {
            candle_core::bail!("there is no transposed convolution of {config:?}");
        }
        let of_phase = config.taps_of_phase();
        let around = (of_phase - 1, of_phase - 1);
        let phases =
            Conv1dConfig { depth, columns: stride * columns, taps: of_phase, stride: 1, dilation: 1, padding: around };
        let bias = bias.map(|bias| bias.repeat(stride));
        Ok(Self { config, phases: Conv1d::new(&config.by_phase(weight), bias, phases, context)? })
    }

    /// `[frames, depth]` → `[out, columns]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ConvTranspose1dConfig { columns, padding, .. } = self.config;
        let all = self.phases.forward(x, Epilogue::None)?;
        all.reshape(((), columns))?.narrow(0, padding, self.config.frames(x.dim(0)?))
    }

    /// Of a longer sequence the frames that belong to all of `x` `[frames, depth]` but the first
    /// `taps / stride - 1`, rounded up, which are those before: `[frames that are left * stride, columns]`. The padding is of the
    /// whole, and is not left out.
    pub fn extend(&self, x: &Tensor) -> Result<Tensor> {
        let ConvTranspose1dConfig { columns, stride, .. } = self.config;
        let before = self.config.taps_of_phase() - 1;
        let Some(new) = x.dim(0)?.checked_sub(before) else {
            candle_core::bail!("{:?} was given {} frames of those before", self.config, x.dim(0)?)
        };
        let all = self.phases.forward(x, Epilogue::None)?;
        all.reshape(((), columns))?.narrow(0, before * stride, new * stride)
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
    fn it_is_the_transposed_convolution_of_candle() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        for (taps, stride, padding, output_padding) in
            [(16, 8, 4, 0), (11, 5, 3, 0), (7, 3, 2, 0), (3, 2, 1, 1), (2, 2, 0, 0)]
        {
            let config = ConvTranspose1dConfig { depth: 6, columns: 5, taps, stride, padding, output_padding };
            let weight = numbers(config.shape().iter().product());
            let conv = ConvTranspose1d::new(&weight, Some(&numbers(5)), config, &context)?;
            for frames in [4, 7, 50] {
                let x = Tensor::from_vec(numbers(frames * 6), (frames, 6), &Device::Cpu)?;
                let weight = Tensor::from_vec(weight.clone(), &config.shape(), &Device::Cpu)?;
                let expected = x.t()?.unsqueeze(0)?.contiguous()?;
                let expected =
                    expected.conv_transpose1d(&weight, padding, output_padding, stride, 1, 1)?.squeeze(0)?.t()?;
                let expected = expected.broadcast_add(&Tensor::from_vec(numbers(5), 5, &Device::Cpu)?)?;
                let found = conv.forward(&x)?;
                assert_eq!(found.dims(), expected.dims(), "{config:?}");
                let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(difference < 1e-4, "{config:?}, {frames} frames: {difference}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_sequence_that_grows_gives_the_same_frames() -> Result<()> {
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        for (taps, stride, padding) in [(16, 8, 4), (7, 3, 2), (2, 2, 0)] {
            let config = ConvTranspose1dConfig { depth: 6, columns: 5, taps, stride, padding, output_padding: 0 };
            let weight = numbers(config.shape().iter().product());
            let conv = ConvTranspose1d::new(&weight, Some(&numbers(5)), config, &context)?;
            let x = Tensor::from_vec(numbers(9 * 6), (9, 6), &Device::Cpu)?;
            let whole = conv.forward(&x)?;
            let before = taps.div_ceil(stride) - 1;
            let mut made = Vec::new();
            for (from, to) in [(0, 4), (4, 5), (5, 9)] {
                let frames = x.narrow(0, from, to - from)?;
                let first = if from == 0 {
                    Tensor::zeros((before, 6), DType::F32, &Device::Cpu)?
                } else {
                    x.narrow(0, from - before, before)?
                };
                made.push(conv.extend(&Tensor::cat(&[first, frames], 0)?)?);
            }
            let made = Tensor::cat(&made, 0)?;
            let made = made.narrow(0, padding, 9 * stride - padding)?;
            let known = made.dim(0)?.min(whole.dim(0)?);
            let difference = (made.narrow(0, 0, known)? - whole.narrow(0, 0, known)?)?.abs()?.max_all()?;
            assert!(difference.to_scalar::<f32>()? < 1e-5, "{config:?}");
        }
        Ok(())
    }
}
