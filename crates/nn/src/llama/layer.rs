//! A layer of a plain Llama.

use candle_core::{Result, Tensor};

use super::{
    attention::GroupedAttention,
    mlp::GatedMlp,
    sequence::{HeadShape, Sequence},
};
use crate::{
    norm::RmsNorm,
    rope::Rotation,
    weights::{Loaded, Loader},
};

#[derive(Debug)]
pub(super) struct Layer {
    pub norm: RmsNorm,
    pub attention: GroupedAttention,
    pub mlp: GatedMlp,
}

// === impl Layer ===

impl Layer {
    /// `layer`: its name.
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize, shape: HeadShape, epsilon: f32) -> Loaded<Self> {
        loader.weights.ignore(&format!("{layer}.self_attn.rotary_emb.inv_freq"));
        let mlp_norm = format!("{layer}.post_attention_layernorm");
        Ok(Self {
            norm: loader.rms_norm(&format!("{layer}.input_layernorm"), width, epsilon)?,
            attention: GroupedAttention::load(loader, &format!("{layer}.self_attn"), width, shape)?,
            mlp: GatedMlp::load(loader, &format!("{layer}.mlp"), &mlp_norm, width, epsilon)?,
        })
    }

    pub fn forward(
        &self,
        at: usize,
        x: &Tensor,
        rotation: &Rotation,
        sequences: &mut [&mut Sequence],
    ) -> Result<Tensor> {
        let attended = self.attention.forward(at, &self.norm.forward(x)?, x, rotation, sequences)?;
        self.mlp.forward(&attended)
    }
}
