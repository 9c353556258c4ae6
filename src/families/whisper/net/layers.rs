//! The layers that encoder and decoder share.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use crate::nn::{ComputeContext, Epilogue, LayerNorm, Linear, WeightError, Weights};

/// Of every norm.
const EPSILON: f32 = 1e-5;

/// Queries, keys and values of a sequence that attends to itself.
#[derive(Debug)]
pub(super) struct SelfAttention {
    norm: LayerNorm,
    projections: Linear,
    out: Linear,
}

/// Queries to a cache, and what fills the cache.
#[derive(Debug)]
pub(super) struct CrossAttention {
    norm: LayerNorm,
    queries: Linear,
    cache: Linear,
    out: Linear,
}

#[derive(Debug)]
pub(super) struct Mlp {
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

/// Takes weights by name and makes layers of them.
pub(super) struct Loader<'a> {
    pub weights: &'a mut Weights,
    pub context: &'a ComputeContext,
}

/// Why a layer could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayerError {
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Device(#[from] candle_core::Error),
}

pub(super) type Loaded<T> = std::result::Result<T, LayerError>;

// === impl SelfAttention ===

impl SelfAttention {
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize) -> Loaded<Self> {
        let attention = format!("{layer}.self_attn");
        Ok(Self {
            norm: loader.norm(&format!("{layer}.self_attn_layer_norm"), width)?,
            projections: loader.linears(&attention, &["q_proj", "k_proj", "v_proj"], width, width)?,
            out: loader.linear(&format!("{attention}.out_proj"), width, width)?,
        })
    }

    /// Queries, keys and values, `[rows, width]` each.
    pub fn project(&self, x: &Tensor) -> Result<[Tensor; 3]> {
        let all = self.projections.forward(&self.norm.forward(x)?, Epilogue::None)?;
        let width = all.dim(1)? / 3;
        let part = |at: usize| all.narrow(1, at * width, width);
        Ok([part(0)?, part(1)?, part(2)?])
    }

    pub fn finish(&self, attended: &Tensor, x: &Tensor) -> Result<Tensor> {
        self.out.forward(attended, Epilogue::Add(x))
    }
}

// === impl CrossAttention ===

impl CrossAttention {
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize) -> Loaded<Self> {
        let attention = format!("{layer}.encoder_attn");
        Ok(Self {
            norm: loader.norm(&format!("{layer}.encoder_attn_layer_norm"), width)?,
            queries: loader.linear(&format!("{attention}.q_proj"), width, width)?,
            cache: loader.linears(&attention, &["k_proj", "v_proj"], width, width)?,
            out: loader.linear(&format!("{attention}.out_proj"), width, width)?,
        })
    }

    pub fn queries(&self, x: &Tensor) -> Result<Tensor> {
        self.queries.forward(&self.norm.forward(x)?, Epilogue::None)
    }

    /// Keys and values of what was heard, `[positions, width]` each.
    pub fn cache(&self, features: &Tensor) -> Result<[Tensor; 2]> {
        let both = self.cache.forward(features, Epilogue::None)?;
        let width = both.dim(1)? / 2;
        Ok([both.narrow(1, 0, width)?, both.narrow(1, width, width)?])
    }

    pub fn finish(&self, attended: &Tensor, x: &Tensor) -> Result<Tensor> {
        self.out.forward(attended, Epilogue::Add(x))
    }
}

// === impl Mlp ===

impl Mlp {
    pub fn load(loader: &mut Loader<'_>, layer: &str, width: usize, inner: usize) -> Loaded<Self> {
        Ok(Self {
            norm: loader.norm(&format!("{layer}.final_layer_norm"), width)?,
            up: loader.linear(&format!("{layer}.fc1"), width, inner)?,
            down: loader.linear(&format!("{layer}.fc2"), inner, width)?,
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.up.forward(&self.norm.forward(x)?, Epilogue::Gelu)?;
        self.down.forward(&inner, Epilogue::Add(x))
    }
}

// === impl Loader ===

impl Loader<'_> {
    pub fn norm(&mut self, name: &str, width: usize) -> Loaded<LayerNorm> {
        let weight = self.weights.take(&format!("{name}.weight"), &[width])?;
        let bias = self.weights.take(&format!("{name}.bias"), &[width])?;
        Ok(LayerNorm::new(weight, bias, EPSILON, self.context)?)
    }

    pub fn linear(&mut self, name: &str, depth: usize, columns: usize) -> Loaded<Linear> {
        let weight = self.weights.view(&format!("{name}.weight"), &[columns, depth])?;
        let bias = self.weights.take(&format!("{name}.bias"), &[columns])?;
        Ok(Linear::new(&[weight], Some(bias), depth, self.context)?)
    }

    /// Several layers over the same input as one. The keys' has no bias.
    fn linears(&mut self, name: &str, names: &[&str], depth: usize, columns: usize) -> Loaded<Linear> {
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for layer in names {
            weights.push(self.weights.view(&format!("{name}.{layer}.weight"), &[columns, depth])?);
            biases.extend(match *layer {
                "k_proj" => vec![0.0; columns],
                _ => self.weights.take(&format!("{name}.{layer}.bias"), &[columns])?,
            });
        }
        Ok(Linear::new(&weights, Some(biases), depth, self.context)?)
    }

    /// A convolution over three frames as a layer over three frames side by side.
    pub fn convolution(&mut self, name: &str, depth: usize, columns: usize) -> Loaded<Linear> {
        const TAPS: usize = 3;
        let weight = self.weights.take(&format!("{name}.weight"), &[columns, depth, TAPS])?;
        let bias = self.weights.take(&format!("{name}.bias"), &[columns])?;
        let mut by_tap = vec![0.0; weight.len()];
        let columns = by_tap.par_chunks_exact_mut(depth * TAPS).zip(weight.par_chunks_exact(depth * TAPS));
        columns.for_each(|(by_tap, column)| {
            for (tap, numbers) in by_tap.chunks_exact_mut(depth).enumerate() {
                for (to, number) in numbers.iter_mut().zip(column[tap..].iter().step_by(TAPS)) {
                    *to = *number;
                }
            }
        });
        Ok(Linear::new(&[by_tap.into()], Some(bias), depth * TAPS, self.context)?)
    }

    pub fn table(&mut self, name: &str, rows: usize, width: usize) -> Loaded<Tensor> {
        let table = self.weights.take(name, &[rows, width])?;
        Ok(self.context.tensor(table, &[rows, width])?)
    }
}
