//! A norm of one kind or the other, for layers that are the same but for it.

use candle_core::{Result, Tensor};

use super::{layer_norm::LayerNorm, rms_norm::RmsNorm};
#[cfg(feature = "cuda")]
use crate::gpu::NormWeights;

#[derive(Debug)]
pub enum Norm {
    Layer(LayerNorm),
    Rms(RmsNorm),
}

// === impl Norm ===

impl Norm {
    /// For a step.
    #[cfg(feature = "cuda")]
    pub fn weights(&self) -> Result<NormWeights<'_>> {
        match self {
            Self::Layer(norm) => norm.weights(),
            Self::Rms(norm) => norm.weights(),
        }
    }

    /// `[rows, size]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }
}
