//! A transformer block, in which each frame sees all of its own sequence.

use candle_core::{Result, Tensor};

use super::super::stack::Stack;
use crate::nn::{
    EPSILON, Epilogue, LayerNorm, Linear,
    attention::{KvCache, SequenceQueries, attend},
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Numbers of a head; no tensor tells it.
pub const HEAD_DIM: usize = 64;

#[derive(Debug)]
pub struct TransformerBlock {
    attention_norm: LayerNorm,
    /// Queries, keys and values.
    projections: Linear,
    out: Linear,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

/// Heads of a block.
pub fn heads(loader: &Loader<'_>, block: &str) -> Loaded<usize> {
    let queries = format!("{block}.attn1.to_q.weight");
    let [inner, _] = loader.weights.sizes(&queries)?;
    match inner.is_multiple_of(HEAD_DIM) {
        true => Ok(inner / HEAD_DIM),
        false => {
            Err(WeightError::tensor(queries, format!("makes {inner} numbers, which are no heads of {HEAD_DIM}")).into())
        }
    }
}

// === impl TransformerBlock ===

impl TransformerBlock {
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize, heads: usize) -> Loaded<Self> {
        let attention = format!("{name}.attn1");
        let projections = ["to_q", "to_k", "to_v"].map(|layer| (layer, Bias::Absent));
        let up = format!("{name}.ff.net.0.proj");
        let [inner, _] = loader.weights.sizes(&format!("{up}.weight"))?;
        Ok(Self {
            attention_norm: loader.layer_norm(&format!("{name}.norm1"), width, EPSILON)?,
            projections: loader.fused(&attention, &projections, width, heads * HEAD_DIM)?,
            out: loader.linear(&format!("{attention}.to_out.0"), heads * HEAD_DIM, width)?,
            norm: loader.layer_norm(&format!("{name}.norm3"), width, EPSILON)?,
            up: loader.linear(&up, width, inner)?,
            down: loader.linear(&format!("{name}.ff.net.2"), inner, width)?,
        })
    }

    /// `[sequences * frames, width]`; as many caches as sequences.
    pub fn forward(&self, x: &Tensor, stack: Stack, caches: &mut [KvCache]) -> Result<Tensor> {
        let attended = self.attend(&self.attention_norm.forward(x)?, stack, caches)?;
        let x = self.out.forward(&attended, Epilogue::Add(x))?;
        let inner = self.up.forward(&self.norm.forward(&x)?, Epilogue::Gelu)?;
        self.down.forward(&inner, Epilogue::Add(&x))
    }

    fn attend(&self, x: &Tensor, stack: Stack, caches: &mut [KvCache]) -> Result<Tensor> {
        let all = self.projections.forward(x, Epilogue::None)?;
        let width = all.dim(1)? / 3;
        for (at, cache) in caches.iter_mut().enumerate() {
            let own = all.narrow(0, at * stack.frames, stack.frames)?;
            cache.truncate(0);
            cache.extend(&own.narrow(1, width, width)?, &own.narrow(1, 2 * width, width)?)?;
        }
        let sequence = |cache| SequenceQueries { cache, queries: stack.frames, causal: false };
        attend(&all.narrow(1, 0, width)?, &caches.iter().map(sequence).collect::<Vec<_>>())
    }
}
