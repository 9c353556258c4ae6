//! Layer norm.

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

/// Centres and scales each row, then weighs it.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Weight,
    epsilon: f32,
}

#[derive(Debug)]
enum Weight {
    Kernel { level: SimdLevel, weight: Vec<f32>, bias: Vec<f32> },
    Plain { weight: Tensor, bias: Tensor },
}

// === impl LayerNorm ===

impl LayerNorm {
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, epsilon: f32, context: &ComputeContext) -> Result<Self> {
        let size = weight.len();
        let weight = match context.kernels {
            Some(level) => Weight::Kernel { level, weight, bias },
            None => Weight::Plain { weight: context.tensor(weight, &[size])?, bias: context.tensor(bias, &[size])? },
        };
        Ok(Self { weight, epsilon })
    }

    /// For a step.
    #[cfg(feature = "cuda")]
    pub fn weights(&self) -> Result<NormWeights<'_>> {
        match &self.weight {
            Weight::Plain { weight, bias } => Ok(NormWeights { weight, shift: Some(bias), epsilon: self.epsilon }),
            Weight::Kernel { .. } => candle_core::bail!("a norm is not on the GPU"),
        }
    }

    /// `[rows, size]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.weight {
            Weight::Plain { weight, bias } => candle_nn::ops::layer_norm(x, weight, bias, self.epsilon),
            Weight::Kernel { level, weight, bias } => {
                let size = weight.len();
                let mut out = vec![0.0; x.elem_count()];
                with_rows(x, |x| {
                    let norm = |row: usize, out: &mut [f32]| {
                        math::layer_norm(*level, x.row(row, size), weight, bias, self.epsilon, out);
                    };
                    let rows = out.par_chunks_exact_mut(size).with_min_len(BLOCK_ROWS).enumerate();
                    rows.for_each(|(row, out)| norm(row, out));
                })?;
                Tensor::from_vec(out, x.shape(), x.device())
            }
        }
    }
}
