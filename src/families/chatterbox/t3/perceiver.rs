//! From a prompt of any length to a fixed number of vectors.

use candle_core::{Result, Tensor};

use crate::nn::{
    ComputeContext, Epilogue, LayerNorm, Linear,
    attention::{KvCache, KvCacheConfig, KvCacheDtype, SequenceQueries, attend},
    weights::{Bias, Loaded, Loader, WeightError},
};

const EPSILON: f32 = 1e-5;

/// Heads of the attention. No tensor tells.
const HEADS: usize = 4;

/// Learned queries look at the prompt and then at each other, both times through the same attention (Jaegle et al., arXiv
/// 2103.03206).
#[derive(Debug)]
pub(super) struct Perceiver {
    /// `[queries, width]`
    queries: Tensor,
    norm: LayerNorm,
    query: Linear,
    /// Keys, then values.
    key_value: Linear,
    out: Linear,
    context: ComputeContext,
}

// === impl Perceiver ===

impl Perceiver {
    pub fn load(loader: &mut Loader<'_>, prefix: &str, width: usize) -> Loaded<Self> {
        let (name, attention) = (format!("{prefix}pre_attention_query"), format!("{prefix}attn"));
        let count = match loader.weights.shape(&name)? {
            &[1, count, _] if count > 0 => count,
            other => Err(WeightError::tensor(
                name.as_str(),
                format!("has the shape {other:?}, where [1, queries, {width}] is expected"),
            ))?,
        };
        let queries = loader.weights.take(&name, &[1, count, width])?;
        Ok(Self {
            queries: loader.context.tensor(queries, &[count, width])?,
            norm: loader.layer_norm(&format!("{attention}.norm"), width, EPSILON)?,
            query: loader.linear(&format!("{attention}.to_q"), width, width)?,
            key_value: {
                let layers = [("to_k", Bias::Present), ("to_v", Bias::Present)];
                loader.fused(&attention, &layers, width, width)?
            },
            out: loader.linear(&format!("{attention}.proj_out"), width, width)?,
            context: loader.context.clone(),
        })
    }

    /// `[positions, width]` → `[queries, width]`
    pub fn forward(&self, prompt: &Tensor) -> Result<Tensor> {
        let seen = self.attend(&self.queries, prompt)?;
        self.attend(&seen, &seen)
    }

    /// What the rows of `x` see of those of `of`, added to them.
    fn attend(&self, x: &Tensor, of: &Tensor) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let queries = self.query.forward(&self.norm.forward(x)?, Epilogue::None)?;
        let both = self.key_value.forward(&self.norm.forward(of)?, Epilogue::None)?;
        let capacity = of.dim(0)?;
        let config = KvCacheConfig { heads: HEADS, head_dim: width / HEADS, capacity, dtype: KvCacheDtype::Full };
        let mut cache = KvCache::new(&config, &self.context)?;
        cache.extend(&both.narrow(1, 0, width)?, &both.narrow(1, width, width)?)?;
        let attended = attend(&queries, &[SequenceQueries { cache: &cache, queries: rows, causal: false }])?;
        self.out.forward(&attended, Epilogue::Add(x))
    }
}
