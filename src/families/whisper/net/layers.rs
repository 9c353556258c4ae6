//! The layers that encoder and decoder share.

use candle_core::{Result, Tensor};

use crate::nn::{
    Epilogue, LayerNorm, Linear,
    weights::{Bias, Loaded, Loader},
};

/// Of every norm.
pub(super) const EPSILON: f32 = 1e-5;

const KEYS: (&str, Bias) = ("k_proj", Bias::Absent);
const VALUES: (&str, Bias) = ("v_proj", Bias::Present);

/// Queries, keys and values of a sequence that attends to itself.
#[derive(Debug)]
pub(super) struct SelfAttention {
    norm: LayerNorm,
    projections: Linear,
    out: Linear,
}

/// Queries to what the encoder heard, and the keys and values of that.
#[derive(Debug)]
pub(super) struct CrossAttention {
    norm: LayerNorm,
    queries: Linear,
    keys_values: Linear,
    out: Linear,
}

#[derive(Debug)]
pub(super) struct Mlp {
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

// === impl SelfAttention ===

impl SelfAttention {
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize) -> Loaded<Self> {
        let attention = format!("{layer}.self_attn");
        Ok(Self {
            norm: loader.layer_norm(&format!("{layer}.self_attn_layer_norm"), width, EPSILON)?,
            projections: loader.fused(&attention, &[("q_proj", Bias::Present), KEYS, VALUES], width, width)?,
            out: loader.linear(&format!("{attention}.out_proj"), width, width)?,
        })
    }

    /// Queries, keys and values, `[rows, width]` each.
    pub fn project_in(&self, x: &Tensor) -> Result<[Tensor; 3]> {
        let all = self.projections.forward(&self.norm.forward(x)?, Epilogue::None)?;
        let width = all.dim(1)? / 3;
        let part = |at: usize| all.narrow(1, at * width, width);
        Ok([part(0)?, part(1)?, part(2)?])
    }

    pub fn project_out(&self, attended: &Tensor, x: &Tensor) -> Result<Tensor> {
        self.out.forward(attended, Epilogue::Add(x))
    }
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

// === impl Mlp ===

impl Mlp {
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize, inner: usize) -> Loaded<Self> {
        Ok(Self {
            norm: loader.layer_norm(&format!("{layer}.final_layer_norm"), width, EPSILON)?,
            up: loader.linear(&format!("{layer}.fc1"), width, inner)?,
            down: loader.linear(&format!("{layer}.fc2"), inner, width)?,
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.up.forward(&self.norm.forward(x)?, Epilogue::Gelu)?;
        self.down.forward(&inner, Epilogue::Add(x))
    }
}
