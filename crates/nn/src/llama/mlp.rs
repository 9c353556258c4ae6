//! The feed-forward part, with the norm before it.

use candle_core::{Result, Tensor};

use super::joined::joined;
use crate::{
    context::ComputeContext,
    linear::{Epilogue, Linear},
    norm::Norm,
    swiglu::swiglu,
    weights::{Bias, Loaded, Loader},
};

#[derive(Debug)]
pub struct GatedMlp {
    norm: Norm,
    /// Gate, then up.
    pub(super) gate_up: Linear,
    pub(super) down: Linear,
    context: ComputeContext,
}

// === impl GatedMlp ===

impl GatedMlp {
    /// `gate_up`: to what goes through the gate, and then to what it lets through.
    pub fn new(norm: Norm, gate_up: Linear, down: Linear, context: &ComputeContext) -> Self {
        Self { norm, gate_up, down, context: context.clone() }
    }

    /// `name` and `norm`: those of their modules, as `model.layers.0.mlp` and `model.layers.0.post_attention_layernorm`.
    pub fn load(loader: &mut Loader<'_>, name: &str, norm: &str, width: usize, epsilon: f32) -> Loaded<Self> {
        let [inner, _] = loader.weights.sizes(&format!("{name}.gate_proj.weight"))?;
        Ok(Self {
            norm: Norm::Rms(loader.rms_norm(norm, width, epsilon)?),
            gate_up: joined(loader, name, &[("gate_proj", inner), ("up_proj", inner)], width)?,
            down: loader.linear_with(&format!("{name}.down_proj"), inner, width, Bias::Absent)?,
            context: loader.context.clone(),
        })
    }

    /// The norm before it.
    #[cfg(feature = "cuda")]
    pub fn norm(&self) -> &Norm {
        &self.norm
    }

    /// `[rows, width]`, with what it was given.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.gate_up.forward(&self.norm.forward(x)?, Epilogue::None)?;
        self.down.forward(&swiglu(&inner, &self.context)?, Epilogue::Add(x))
    }
}
