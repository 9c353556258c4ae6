//! How the decoder listens.

use candle_core::{Result, Tensor};

use crate::nn::{
    EPSILON, Epilogue, LayerNorm, Linear,
    weights::{Bias, Loaded, Loader},
};

const KEYS: (&str, Bias) = ("k_proj", Bias::Absent);
const VALUES: (&str, Bias) = ("v_proj", Bias::Present);

/// Queries to what the encoder heard, and the keys and values of that.
#[derive(Debug)]
pub(super) struct CrossAttention {
    pub(super) norm: LayerNorm,
    pub(super) queries: Linear,
    keys_values: Linear,
    pub(super) out: Linear,
}

// === impl CrossAttention ===

impl CrossAttention {
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize) -> Loaded<Self> {
        let attention = format!("{layer}.encoder_attn");
        Ok(Self {
            norm: loader.layer_norm(&format!("{layer}.encoder_attn_layer_norm"), width, EPSILON)?,
            queries: loader.linear(&format!("{attention}.q_proj"), width, width)?,
            keys_values: loader.fused(&attention, &[KEYS, VALUES], width, width)?,
            out: loader.linear(&format!("{attention}.out_proj"), width, width)?,
        })
    }

    pub fn queries(&self, x: &Tensor) -> Result<Tensor> {
        self.queries.forward(&self.norm.forward(x)?, Epilogue::None)
    }

    /// Keys and values of what was heard, `[positions, width]` each.
    pub fn keys_values(&self, features: &Tensor) -> Result<[Tensor; 2]> {
        let both = self.keys_values.forward(features, Epilogue::None)?;
        let width = both.dim(1)? / 2;
        Ok([both.narrow(1, 0, width)?, both.narrow(1, width, width)?])
    }

    pub fn project_out(&self, attended: &Tensor, x: &Tensor) -> Result<Tensor> {
        self.out.forward(attended, Epilogue::Add(x))
    }
}
