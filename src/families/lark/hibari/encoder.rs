//! Symbols to rows that know of each other.

use candle_core::{DType, Device, Tensor};

use super::{
    super::{
        convnext::ConvNext,
        dense::{Dense, Norm},
        error::LarkError,
    },
    tensors::Tensors,
};
use crate::nn::{
    ComputeContext,
    attention::{KvCache, KvCacheConfig, KvCacheDtype, SequenceQueries, attend},
};

/// Of its attention, in every published voice.
const HEADS: usize = 2;

/// Rounds through its layer, at most.
const MOST_ROUNDS: usize = 64;

/// ConvNeXt blocks, and one layer of a transformer that is gone through again and again.
#[derive(Debug)]
pub struct TextEncoder {
    /// `[symbols, width]`
    embedding: Vec<f32>,
    blocks: ConvNext,
    layer: Layer,
    rounds: usize,
    norm: Norm,
    width: usize,
}

/// Normalises before attention and before the feed-forward part.
#[derive(Debug)]
struct Layer {
    attention_norm: Norm,
    projections: Dense,
    out: Dense,
    norm: Norm,
    up: Dense,
    down: Dense,
}

// === impl TextEncoder ===

impl TextEncoder {
    pub fn load(tensors: &mut Tensors, name: &str, symbols: usize) -> Result<Self, LarkError> {
        let sizes = tensors.stack(&format!("{name}.convs"))?;
        let (width, layer) = (sizes.width, format!("{name}.attn"));
        let rounds = tensors.rounds.get(&format!("{layer}.norm1.weight")).copied().unwrap_or(0);
        if !width.is_multiple_of(HEADS) || rounds > MOST_ROUNDS {
            let reason = format!("{name} is {width} wide, and goes through {layer} {rounds} times; that is foreign");
            return Err(LarkError::Config(reason));
        }
        let inner = tensors.size(&format!("{layer}.linear1.bias"))?.max(1);
        let weights = &mut tensors.weights;
        Ok(Self {
            embedding: weights.take(&format!("{name}.emb.weight"), &[symbols, width])?,
            blocks: ConvNext::load(weights, &format!("{name}.convs"), &sizes)?,
            layer: Layer {
                attention_norm: Norm::load(weights, &format!("{layer}.norm1"), width)?,
                projections: Dense::load(weights, &format!("{layer}.self_attn.in_proj"), width, 3 * width)?,
                out: Dense::load(weights, &format!("{layer}.self_attn.out_proj"), width, width)?,
                norm: Norm::load(weights, &format!("{layer}.norm2"), width)?,
                up: Dense::load(weights, &format!("{layer}.linear1"), width, inner)?,
                down: Dense::load(weights, &format!("{layer}.linear2"), inner, width)?,
            },
            rounds,
            norm: Norm::load(weights, &format!("{name}.norm"), width)?,
            width,
        })
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// `[ids, width]`
    pub fn forward(&self, ids: &[u8]) -> Result<Vec<f32>, LarkError> {
        let rows = ids.iter().flat_map(|&id| &self.embedding[usize::from(id) * self.width..][..self.width]);
        let mut x = self.blocks.forward(rows.copied().collect())?;
        for _ in 0..self.rounds {
            x = self.layer.forward(x, self.width)?;
        }
        self.norm.forward(x)
    }
}

// === impl Layer ===

impl Layer {
    /// `[rows, width]` → `[rows, width]`
    fn forward(&self, mut x: Vec<f32>, width: usize) -> Result<Vec<f32>, LarkError> {
        let attended = self.attend(self.projections.forward(self.attention_norm.forward(x.clone())?)?, width)?;
        add(&mut x, &self.out.forward(attended)?);
        let inner = self.up.forward_gelu(self.norm.forward(x.clone())?)?;
        add(&mut x, &self.down.forward(inner)?);
        Ok(x)
    }

    /// Queries, keys and values side by side, `[rows, 3 · width]` → `[rows, width]`
    fn attend(&self, projected: Vec<f32>, width: usize) -> Result<Vec<f32>, LarkError> {
        let rows = projected.len() / (3 * width);
        let projected = Tensor::from_vec(projected, (rows, 3 * width), &Device::Cpu)?;
        let part = |at: usize| projected.narrow(1, at * width, width)?.contiguous();
        let config = KvCacheConfig { heads: HEADS, head_dim: width / HEADS, capacity: rows, dtype: KvCacheDtype::Full };
        let mut cache = KvCache::new(&config, &ComputeContext::new(&Device::Cpu, DType::F32))?;
        cache.extend(&part(1)?, &part(2)?)?;
        let sequence = SequenceQueries { cache: &cache, queries: rows, causal: false };
        Ok(attend(&part(0)?, &[sequence])?.flatten_all()?.to_vec1()?)
    }
}

fn add(x: &mut [f32], change: &[f32]) {
    x.iter_mut().zip(change).for_each(|(x, change)| *x += change);
}
