//! Layers of `nn` on rows that lie one after another in memory.

use candle_core::{Device, Tensor};

use super::error::LarkError;
use crate::nn::{self, ComputeContext, Epilogue, weights::Weights};

/// Added to the variance of a row.
const EPSILON: f32 = 1e-5;

/// A linear layer: rows of `depth` numbers to rows of `columns`.
#[derive(Debug)]
pub struct Dense {
    layer: nn::Linear,
    depth: usize,
}

/// A norm of rows of `width` numbers.
#[derive(Debug)]
pub struct Norm {
    layer: nn::LayerNorm,
    width: usize,
}

// === impl Dense ===

impl Dense {
    /// `NAME.weight [columns, depth]` and `NAME.bias [columns]`.
    pub fn load(weights: &mut Weights, name: &str, depth: usize, columns: usize) -> Result<Self, LarkError> {
        let weight = weights.view(&format!("{name}.weight"), &[columns, depth])?;
        let bias = weights.take(&format!("{name}.bias"), &[columns])?;
        Ok(Self { layer: nn::Linear::new(&[weight], Some(bias), depth, &context())?, depth })
    }

    pub fn forward(&self, rows: Vec<f32>) -> Result<Vec<f32>, LarkError> {
        self.apply(rows, Epilogue::None)
    }

    /// The same, and GELU of it.
    pub fn forward_gelu(&self, rows: Vec<f32>) -> Result<Vec<f32>, LarkError> {
        self.apply(rows, Epilogue::Gelu)
    }

    fn apply(&self, rows: Vec<f32>, epilogue: Epilogue<'_>) -> Result<Vec<f32>, LarkError> {
        let count = rows.len() / self.depth;
        let rows = Tensor::from_vec(rows, (count, self.depth), &Device::Cpu)?;
        Ok(self.layer.forward(&rows, epilogue)?.flatten_all()?.to_vec1()?)
    }
}

// === impl Norm ===

impl Norm {
    /// `NAME.weight [width]` and `NAME.bias [width]`.
    pub fn load(weights: &mut Weights, name: &str, width: usize) -> Result<Self, LarkError> {
        let weight = weights.take(&format!("{name}.weight"), &[width])?;
        let bias = weights.take(&format!("{name}.bias"), &[width])?;
        Ok(Self { layer: nn::LayerNorm::new(weight, bias, EPSILON, &context())?, width })
    }

    pub fn forward(&self, rows: Vec<f32>) -> Result<Vec<f32>, LarkError> {
        let count = rows.len() / self.width;
        let rows = Tensor::from_vec(rows, (count, self.width), &Device::Cpu)?;
        Ok(self.layer.forward(&rows)?.flatten_all()?.to_vec1()?)
    }
}

/// On the CPU: a voice this small gains nothing from an accelerator.
fn context() -> ComputeContext {
    ComputeContext::new(&Device::Cpu, candle_core::DType::F32)
}
