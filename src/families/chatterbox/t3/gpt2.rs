//! The backbone of Turbo and Nano: a GPT-2.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::sequence::{Sequence, attend_causally, positions};
use crate::nn::{
    Embedding, Epilogue, LayerNorm, Linear,
    activation::gelu_tanh,
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
}

#[derive(Debug)]
pub(super) struct Layer {
    attention_norm: LayerNorm,
    /// Queries, keys and values.
    project_in: Linear,
    project_out: Linear,
    mlp_norm: LayerNorm,
    up: Linear,
    down: Linear,
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
        })
    }

    pub fn forward(&self, x: &Tensor, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        let positions = positions(sequences, x.dim(0)? / sequences.len().max(1));
        let mut x = (x + self.positions.forward(&positions)?)?;
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.attend(at, &x, sequences)?;
            x = layer.feed_forward(&x)?;
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
        Ok(Self {
            attention_norm: loader.layer_norm(&format!("{layer}.ln_1"), width, EPSILON)?,
            project_in: transposed(loader, &format!("{layer}.attn.c_attn"), width, 3 * width)?,
            project_out: transposed(loader, &format!("{layer}.attn.c_proj"), width, width)?,
            mlp_norm: loader.layer_norm(&format!("{layer}.ln_2"), width, EPSILON)?,
            up: transposed(loader, &format!("{layer}.mlp.c_fc"), width, inner)?,
            down: transposed(loader, &format!("{layer}.mlp.c_proj"), inner, width)?,
        })
    }

    fn attend(&self, at: usize, x: &Tensor, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        let all = self.project_in.forward(&self.attention_norm.forward(x)?, Epilogue::None)?;
        let width = all.dim(1)? / 3;
        let part = |part: usize| all.narrow(1, part * width, width);
        let attended = attend_causally(at, [&part(0)?, &part(1)?, &part(2)?], sequences)?;
        self.project_out.forward(&attended, Epilogue::Add(x))
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.up.forward(&self.mlp_norm.forward(x)?, Epilogue::None)?;
        self.down.forward(&gelu_tanh(&inner)?, Epilogue::Add(x))
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
