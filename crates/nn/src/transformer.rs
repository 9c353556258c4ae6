//! The layers of a transformer that normalises before each of them, with a GELU between the two of its feed-forward part.

use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use crate::gpu::{NormWeights, Residual, Step};
use crate::{
    activation::{Gelu, gelu_tanh},
    linear::{Epilogue, Linear},
    norm::LayerNorm,
    weights::{Bias, Loaded, Loader},
};

/// Of every norm.
pub const EPSILON: f32 = 1e-5;

/// Queries, keys and values of a sequence that attends to itself. Keys have no bias.
#[derive(Debug)]
pub struct SelfAttention {
    norm: LayerNorm,
    projections: Linear,
    out: Linear,
}

/// The feed-forward part.
#[derive(Debug)]
pub struct Mlp {
    norm: LayerNorm,
    up: Linear,
    down: Linear,
    gelu: Gelu,
}

// === impl SelfAttention ===

impl SelfAttention {
    /// `layer`: the name of the layer, in which this is `self_attn`.
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize) -> Loaded<Self> {
        let attention = format!("{layer}.self_attn");
        let projections = [("q_proj", Bias::Present), ("k_proj", Bias::Absent), ("v_proj", Bias::Present)];
        Ok(Self {
            norm: loader.layer_norm(&format!("{layer}.self_attn_layer_norm"), width, EPSILON)?,
            projections: loader.fused(&attention, &projections, width, width)?,
            out: loader.linear(&format!("{attention}.out_proj"), width, width)?,
        })
    }

    /// `projections`: of queries, keys and values, in this order.
    pub fn new(norm: LayerNorm, projections: Linear, out: Linear) -> Self {
        Self { norm, projections, out }
    }

    /// Queries, keys and values beside each other, `[rows, 3 * width]`.
    pub fn project(&self, x: &Tensor) -> Result<Tensor> {
        self.projections.forward(&self.norm.forward(x)?, Epilogue::None)
    }

    /// Queries, keys and values, `[rows, width]` each.
    pub fn project_in(&self, x: &Tensor) -> Result<[Tensor; 3]> {
        let all = self.project(x)?;
        let width = all.dim(1)? / 3;
        let part = |at: usize| all.narrow(1, at * width, width);
        Ok([part(0)?, part(1)?, part(2)?])
    }

    /// In a step: a position more for the caches of a group, and what is attended to there, added to `x`. `next`: the norm of
    /// the next layer.
    #[cfg(feature = "cuda")]
    pub fn step(&self, step: &mut Step<'_>, group: usize, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        let (weight, bias) = self.projections.tensors()?;
        let all = step.product(&x.normed, weight)?;
        let width = all.dim(1)? / 3;
        let part = |at: usize| all.narrow(1, at * width, width);
        let biases = (0..3).map(|at| bias.map(|bias| bias.narrow(0, at * width, width)).transpose());
        let biases = biases.collect::<Result<Vec<_>>>()?;
        step.extend(group, [&part(1)?, &part(2)?], [biases[1].as_ref(), biases[2].as_ref()], None)?;
        let attended = step.attend(group, &part(0)?, biases[0].as_ref(), None, 1)?;
        self.out.step(step, &attended, x, next)
    }

    /// The norm before it.
    #[cfg(feature = "cuda")]
    pub fn norm(&self) -> &LayerNorm {
        &self.norm
    }

    /// What was attended to, projected and added to `x`.
    pub fn project_out(&self, attended: &Tensor, x: &Tensor) -> Result<Tensor> {
        self.out.forward(attended, Epilogue::Add(x))
    }
}

// === impl Mlp ===

impl Mlp {
    /// `inner`: the width between its two layers.
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize, inner: usize) -> Loaded<Self> {
        Ok(Self {
            norm: loader.layer_norm(&format!("{layer}.final_layer_norm"), width, EPSILON)?,
            up: loader.linear(&format!("{layer}.fc1"), width, inner)?,
            down: loader.linear(&format!("{layer}.fc2"), inner, width)?,
            gelu: Gelu::Exact,
        })
    }

    pub fn new(norm: LayerNorm, up: Linear, down: Linear, gelu: Gelu) -> Self {
        Self { norm, up, down, gelu }
    }

    /// In a step: added to `x`. `next`: the norm of the next layer.
    #[cfg(feature = "cuda")]
    pub fn step(&self, step: &mut Step<'_>, x: &Residual, next: NormWeights<'_>) -> Result<()> {
        let (weight, bias) = self.up.tensors()?;
        let inner = step.product(&x.normed, weight)?;
        step.gelu(&inner, bias, self.gelu)?;
        self.down.step(step, &inner, x, next)
    }

    /// The norm before it.
    #[cfg(feature = "cuda")]
    pub fn norm(&self) -> &LayerNorm {
        &self.norm
    }

    /// Added to `x`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let normed = self.norm.forward(x)?;
        let inner = match self.gelu {
            Gelu::Exact => self.up.forward(&normed, Epilogue::Gelu)?,
            Gelu::Tanh => gelu_tanh(&self.up.forward(&normed, Epilogue::None)?)?,
        };
        self.down.forward(&inner, Epilogue::Add(x))
    }
}
