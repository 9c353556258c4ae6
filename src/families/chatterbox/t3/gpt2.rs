//! The backbone of Turbo and Nano: a GPT-2.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::heads::shape;
#[cfg(feature = "cuda")]
use crate::nn::llama::Repeating;
use crate::nn::{
    ComputeContext, Embedding, LayerNorm, Linear, Mlp, SelfAttention,
    activation::Gelu,
    llama::{HeadShape, Sequence, attend_causally, positions},
    weights::{Loaded, Loader},
};

const EPSILON: f32 = 1e-5;

/// Columns that are transposed at once: what is read of a row fills a line of the cache.
const BLOCK_COLUMNS: usize = 16;

#[derive(Debug)]
pub(super) struct Gpt2 {
    pub layers: Vec<Layer>,
    pub norm: LayerNorm,
    /// Learned; they are the backbone's own, and count from the first vector of the prompt.
    pub positions: Embedding,
    shape: HeadShape,
    context: ComputeContext,
    #[cfg(feature = "cuda")]
    pub repeating: Option<Repeating>,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub attention: SelfAttention,
    pub mlp: Mlp,
}

// === impl Gpt2 ===

impl Gpt2 {
    pub fn load(loader: &mut Loader<'_>, prefix: &str, width: usize) -> Loaded<Self> {
        let layers = format!("{prefix}h.");
        let count = loader.weights.count(|at| format!("{layers}{at}.ln_1.weight"));
        let positions = format!("{prefix}wpe");
        let [length, _] = loader.weights.sizes(&format!("{positions}.weight"))?;
        // The model is always given embeddings of T3's own.
        loader.weights.ignore(&format!("{prefix}wte.weight"));
        Ok(Self {
            layers: (0..count).map(|at| Layer::load(loader, &format!("{layers}{at}"), width)).collect::<Loaded<_>>()?,
            norm: loader.layer_norm(&format!("{prefix}ln_f"), width, EPSILON)?,
            positions: loader.embedding(&positions, length, width)?,
            shape: shape(width),
            context: loader.context.clone(),
            #[cfg(feature = "cuda")]
            repeating: Repeating::new(None, shape(width), loader.context)?,
        })
    }

    pub fn sequence(&self, capacity: usize) -> Result<Sequence> {
        Sequence::new(self.layers.len(), &self.shape.cache(capacity, &self.context), &self.context)
    }

    pub fn forward(&self, x: &Tensor, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        let positions = positions(sequences, x.dim(0)? / sequences.len().max(1));
        let mut x = (x + self.positions.forward(&positions)?)?;
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(at, &x, sequences)?;
        }
        Ok(x)
    }
}

// === impl Layer ===

impl Layer {
    fn load(loader: &mut Loader<'_>, layer: &str, width: usize) -> Loaded<Self> {
        // Masks, which older files hold.
        loader.weights.ignore(&format!("{layer}.attn.bias"));
        loader.weights.ignore(&format!("{layer}.attn.masked_bias"));
        let [_, inner] = loader.weights.sizes(&format!("{layer}.mlp.c_fc.weight"))?;
        let attention = SelfAttention::new(
            loader.layer_norm(&format!("{layer}.ln_1"), width, EPSILON)?,
            transposed(loader, &format!("{layer}.attn.c_attn"), width, 3 * width)?,
            transposed(loader, &format!("{layer}.attn.c_proj"), width, width)?,
        );
        let norm = loader.layer_norm(&format!("{layer}.ln_2"), width, EPSILON)?;
        let up = transposed(loader, &format!("{layer}.mlp.c_fc"), width, inner)?;
        let down = transposed(loader, &format!("{layer}.mlp.c_proj"), inner, width)?;
        Ok(Self { attention, mlp: Mlp::new(norm, up, down, Gelu::Tanh) })
    }

    fn forward(&self, at: usize, x: &Tensor, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        let [queries, keys, values] = self.attention.project_in(x)?;
        let attended = attend_causally(at, [&queries, &keys, &values], 1, sequences)?;
        self.mlp.forward(&self.attention.project_out(&attended, x)?)
    }
}

/// A layer whose weights the file holds as `[depth, columns]`.
fn transposed(loader: &mut Loader<'_>, name: &str, depth: usize, columns: usize) -> Loaded<Linear> {
    let by_input = loader.weights.take(&format!("{name}.weight"), &[depth, columns])?;
    let bias = loader.weights.take(&format!("{name}.bias"), &[columns])?;
    let by_output = transpose(&by_input, depth, columns);
    Ok(Linear::quantizable(&[by_output.into()], Some(bias), depth, loader.context)?)
}

/// `[rows, columns]` → `[columns, rows]`
fn transpose(from: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut to = vec![0.0; from.len()];
    to.par_chunks_mut(rows * BLOCK_COLUMNS).enumerate().for_each(|(block, to)| {
        for (row, from) in from.chunks_exact(columns).enumerate() {
            let from = &from[block * BLOCK_COLUMNS..];
            to[row..].iter_mut().step_by(rows).zip(from).for_each(|(to, from)| *to = *from);
        }
    });
    to
}
