//! Convolutions over time.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{
    context::ComputeContext,
    linear::{Epilogue, Linear},
};

/// Frames that an output frame is made of.
pub const TAPS: usize = 3;

/// A convolution over three frames, zeros outside: as a linear layer over three frames side by side.
#[derive(Debug)]
pub struct Conv1d {
    taps: Linear,
    stride: usize,
}

// === impl Conv1d ===

impl Conv1d {
    /// `weight`: `[columns, depth, TAPS]`, row by row.
    pub fn new(weight: &[f32], bias: Vec<f32>, depth: usize, stride: usize, context: &ComputeContext) -> Result<Self> {
        Ok(Self { taps: Linear::new(&[by_tap(weight, depth).into()], Some(bias), depth * TAPS, context)?, stride })
    }

    /// `[frames, depth]` → `[frames / stride, columns]`; the stride divides the frames.
    pub fn forward(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        self.taps.forward(&three_frames(x, self.stride)?, epilogue)
    }
}

/// `[columns, depth, TAPS]` → `[columns, TAPS, depth]`
fn by_tap(weight: &[f32], depth: usize) -> Vec<f32> {
    let mut by_tap = vec![0.0; weight.len()];
    let columns = by_tap.par_chunks_exact_mut(depth * TAPS).zip(weight.par_chunks_exact(depth * TAPS));
    columns.for_each(|(by_tap, column)| {
        for (tap, numbers) in by_tap.chunks_exact_mut(depth).enumerate() {
            for (to, number) in numbers.iter_mut().zip(column[tap..].iter().step_by(TAPS)) {
                *to = *number;
            }
        }
    });
    by_tap
}

/// Each frame with its neighbours, zeros outside: `[frames, depth]` → `[frames / stride, TAPS * depth]`.
fn three_frames(x: &Tensor, stride: usize) -> Result<Tensor> {
    let (frames, depth) = x.dims2()?;
    let padded = x.pad_with_zeros(0, 1, stride)?;
    let tap = |at: usize| padded.narrow(0, at, frames)?.reshape((frames / stride, stride * depth))?.narrow(1, 0, depth);
    Tensor::cat(&[tap(0)?, tap(1)?, tap(2)?], 1)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn it_is_the_convolution_of_candle() -> Result<()> {
        let (frames, depth, columns) = (12, 5, 7);
        let numbers = |count: usize| (0..count).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<f32>>();
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let x = Tensor::from_vec(numbers(frames * depth), (frames, depth), &Device::Cpu)?;
        let weight = Tensor::from_vec(numbers(columns * depth * TAPS), (columns, depth, TAPS), &Device::Cpu)?;
        for stride in [1, 2] {
            let conv = Conv1d::new(&numbers(columns * depth * TAPS), vec![0.0; columns], depth, stride, &context)?;
            let found = conv.forward(&x, Epilogue::None)?;
            let expected = x.t()?.unsqueeze(0)?.contiguous()?.conv1d(&weight, 1, stride, 1, 1)?.squeeze(0)?.t()?;
            let difference = (found - expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(difference < 1e-4, "stride {stride}: {difference}");
        }
        Ok(())
    }
}
