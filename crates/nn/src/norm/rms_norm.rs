//! Norm by the root of the mean square.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use crate::gpu::NormWeights;
use crate::{
    context::ComputeContext,
    cpu::{detect::SimdLevel, math, matrix::with_rows},
};

/// Rows that one task takes.
const BLOCK_ROWS: usize = 64;

/// Scales each row to a mean square of one, then weighs it (Zhang and Sennrich, arXiv 1910.07467).
#[derive(Debug)]
pub struct RmsNorm {
    weight: Weight,
    epsilon: f32,
}

#[derive(Debug)]
enum Weight {
    Kernel(SimdLevel, Vec<f32>),
    Plain(Tensor),
}

// === impl RmsNorm ===

impl RmsNorm {
    pub fn new(weight: Vec<f32>, epsilon: f32, context: &ComputeContext) -> Result<Self> {
        let size = weight.len();
        let weight = match context.kernels {
            Some(level) => Weight::Kernel(level, weight),
            None => Weight::Plain(context.tensor(weight, &[size])?),
        };
        Ok(Self { weight, epsilon })
    }

    /// For a step.
    #[cfg(feature = "cuda")]
    pub fn weights(&self) -> Result<NormWeights<'_>> {
        match &self.weight {
            Weight::Plain(weight) => Ok(NormWeights { weight, shift: None, epsilon: self.epsilon }),
            Weight::Kernel(..) => candle_core::bail!("a norm is not on the GPU"),
        }
    }

    /// `[rows, size]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.weight {
            Weight::Plain(weight) => candle_nn::ops::rms_norm(&x.contiguous()?, weight, self.epsilon),
            Weight::Kernel(level, weight) => self.kernel(*level, weight, x),
        }
    }

    fn kernel(&self, level: SimdLevel, weight: &[f32], x: &Tensor) -> Result<Tensor> {
        let (_, width) = x.dims2()?;
        if width != weight.len() {
            candle_core::bail!("a norm of width {} was given rows of {width}", weight.len());
        }
        let mut out = vec![0.0; x.elem_count()];
        with_rows(x, |x| {
            let rows = out.par_chunks_exact_mut(width).with_min_len(BLOCK_ROWS).enumerate();
            rows.for_each(|(row, out)| math::rms_norm(level, x.row(row, width), weight, self.epsilon, out));
        })?;
        Tensor::from_vec(out, x.shape(), x.device())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn both_forms_agree_with_the_formula() -> Result<()> {
        let numbers = |count: usize| (0..count).map(|i| (i as f32 * 0.37).sin() * 3.0).collect::<Vec<_>>();
        let (rows, width) = (3, 45);
        let (x, weight) = (numbers(rows * width), numbers(width));
        let expected = x.chunks(width).flat_map(|row| {
            let square = row.iter().map(|x| f64::from(x * x)).sum::<f64>() / width as f64;
            let scale = 1.0 / (square + 1e-5).sqrt();
            row.iter().zip(&weight).map(move |(x, weight)| (f64::from(*x) * scale) as f32 * weight)
        });
        let expected = Tensor::from_iter(expected, &Device::Cpu)?.reshape((rows, width))?;
        let x = Tensor::from_vec(x.clone(), (rows, width), &Device::Cpu)?;
        let levels = SimdLevel::available().iter().map(|&level| Some(level)).chain([None]);
        for kernels in levels {
            let context = ComputeContext { kernels, ..ComputeContext::new(&Device::Cpu, DType::F32) };
            let found = RmsNorm::new(weight.clone(), 1e-5, &context)?.forward(&x)?;
            let difference = (found - &expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(difference < 1e-5, "{kernels:?}: {difference}");
        }
        Ok(())
    }
}
