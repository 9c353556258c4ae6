//! A layer of the encoder: attention, to whose answer a memory of the neighbours is added (FSMN; Gao et al., arXiv
//! 2006.01713), and a feed-forward part.

use candle_core::{Result, Tensor};

use crate::nn::{
    DepthwiseConv1d, DepthwiseConv1dConfig, Epilogue, LayerNorm, Linear, Rotation,
    attention::{KvCache, SequenceQueries, attend},
    weights::{Bias, Loaded, Loader},
};

/// Of both norms.
const EPSILON: f32 = 1e-5;

pub struct Block {
    attention_norm: LayerNorm,
    /// Queries, keys and values.
    projections: Linear,
    /// Over the values.
    memory: DepthwiseConv1d,
    out: Linear,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

// === impl Block ===

impl Block {
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<Self> {
        let attention = format!("{name}.attn");
        let projections = [("query", Bias::Present), ("key", Bias::Absent), ("value", Bias::Present)];
        let memory = format!("{attention}.fsmn_block");
        let [_, _, taps] = loader.weights.sizes(&format!("{memory}.weight"))?;
        let padding = ((taps - 1) / 2, taps / 2);
        let memory_config = DepthwiseConv1dConfig { channels: width, taps, padding };
        let [inner, _] = loader.weights.sizes(&format!("{name}.mlp.0.weight"))?;
        Ok(Self {
            attention_norm: loader.layer_norm(&format!("{name}.attn_ln"), width, EPSILON)?,
            projections: loader.fused(&attention, &projections, width, width)?,
            memory: loader.depthwise_conv1d(&memory, memory_config, Bias::Absent)?,
            out: loader.linear(&format!("{attention}.out"), width, width)?,
            norm: loader.layer_norm(&format!("{name}.mlp_ln"), width, EPSILON)?,
            up: loader.linear(&format!("{name}.mlp.0"), width, inner)?,
            down: loader.linear(&format!("{name}.mlp.2"), inner, width)?,
        })
    }

    /// `[tokens, width]`, which `turn` has the positions of. `cache` has room for them and is emptied.
    pub fn forward(&self, x: &Tensor, turn: &Rotation, cache: &mut KvCache) -> Result<Tensor> {
        let all = self.projections.forward(&self.attention_norm.forward(x)?, Epilogue::None)?;
        let (tokens, width) = x.dims2()?;
        let part = |at: usize| all.narrow(1, at * width, width);
        let values = part(2)?;
        cache.truncate(0);
        cache.extend(&turn.apply(&part(1)?)?, &values)?;
        let sequence = SequenceQueries { cache, queries: tokens, causal: false };
        let attended = attend(&turn.apply(&part(0)?)?, &[sequence])?;
        let remembered = (self.memory.forward(&values)? + values)?;
        let x = self.out.forward(&attended, Epilogue::Add(&(remembered + x)?))?;
        let inner = self.up.forward(&self.norm.forward(&x)?, Epilogue::Gelu)?;
        self.down.forward(&inner, Epilogue::Add(&x))
    }
}
