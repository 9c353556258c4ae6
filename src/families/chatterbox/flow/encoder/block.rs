//! A block of the conformer; without its convolution, as here, a transformer layer that knows distances.

use candle_core::{Result, Tensor};

use crate::nn::{
    Epilogue, LayerNorm, Linear,
    activation::silu,
    attention::{RelativeAttention, RelativeRows},
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Of the norms in a block.
const EPSILON: f32 = 1e-12;

#[derive(Debug)]
pub struct Block {
    attention_norm: LayerNorm,
    /// Queries, keys and values.
    projections: Linear,
    /// Of distances.
    distances: Linear,
    attention: RelativeAttention,
    out: Linear,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

// === impl Block ===

impl Block {
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<Self> {
        let attention = format!("{name}.self_attn");
        let projections = ["linear_q", "linear_k", "linear_v"].map(|layer| (layer, Bias::Present));
        let up = format!("{name}.feed_forward.w_1");
        let [inner, _] = loader.weights.sizes(&format!("{up}.weight"))?;
        Ok(Self {
            attention_norm: loader.layer_norm(&format!("{name}.norm_mha"), width, EPSILON)?,
            projections: loader.fused(&attention, &projections, width, width)?,
            distances: loader.linear_with(&format!("{attention}.linear_pos"), width, width, Bias::Absent)?,
            out: loader.linear(&format!("{attention}.linear_out"), width, width)?,
            attention: relative(loader, &attention, width)?,
            norm: loader.layer_norm(&format!("{name}.norm_ff"), width, EPSILON)?,
            up: loader.linear(&up, width, inner)?,
            down: loader.linear(&format!("{name}.feed_forward.w_2"), inner, width)?,
        })
    }

    /// `[rows, width]`, of which each sees all; `distances`: `[2 * rows - 1, width]`.
    pub fn forward(&self, x: &Tensor, distances: &Tensor) -> Result<Tensor> {
        let width = x.dim(1)?;
        let all = self.projections.forward(&self.attention_norm.forward(x)?, Epilogue::None)?;
        let [queries, keys, values] = [0, 1, 2].map(|at| all.narrow(1, at * width, width));
        let distances = self.distances.forward(distances, Epilogue::None)?;
        let rows = RelativeRows { queries: &queries?, keys: &keys?, values: &values?, distances: &distances };
        let x = self.out.forward(&self.attention.forward(rows)?, Epilogue::Add(x))?;
        let inner = silu(&self.up.forward(&self.norm.forward(&x)?, Epilogue::None)?)?;
        self.down.forward(&inner, Epilogue::Add(&x))
    }
}

fn relative(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<RelativeAttention> {
    let [content, distance] = ["u", "v"].map(|bias| format!("{name}.pos_bias_{bias}"));
    let [heads, head_dim] = loader.weights.sizes(&content)?;
    if heads.checked_mul(head_dim) != Some(width) {
        return Err(WeightError::tensor(
            content,
            format!("is of {heads} heads of {head_dim}, which are no width of {width}"),
        )
        .into());
    }
    let content = loader.weights.take(&content, &[heads, head_dim])?;
    let distance = loader.weights.take(&distance, &[heads, head_dim])?;
    Ok(RelativeAttention::new(heads, content, distance, loader.context)?)
}
