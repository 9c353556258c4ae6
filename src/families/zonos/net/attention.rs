//! The layers that attend.

use candle_core::{Result, Tensor};

use super::{super::config::BackboneConfig, sequence::Sequence};
use crate::nn::{
    ComputeContext, Epilogue, LayerNorm, Linear, Rotation,
    attention::{KvCacheConfig, KvCacheDtype, SequenceQueries, attend_grouped, extend_each},
    swiglu,
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Attention in which several heads of queries share one of keys.
#[derive(Debug)]
pub struct Attention {
    /// Queries, keys and values.
    project_in: Linear,
    project_out: Linear,
    shape: HeadShape,
}

/// The heads.
#[derive(Clone, Copy, Debug)]
pub struct HeadShape {
    pub heads: usize,
    /// Of keys and of values.
    pub shared: usize,
    pub head_dim: usize,
}

/// The gated feed-forward part of such a layer.
#[derive(Debug)]
pub struct Mlp {
    norm: LayerNorm,
    /// Gate, then what passes through it.
    gate_up: Linear,
    down: Linear,
    context: ComputeContext,
}

// === impl HeadShape ===

impl HeadShape {
    pub fn of(config: &BackboneConfig) -> Self {
        let (heads, shared) = (config.attn_cfg.num_heads, config.attn_cfg.num_heads_kv);
        Self { heads, shared, head_dim: config.head_dim() }
    }

    /// Half precision halves what each code has to read of those before it; whoever asked for full precision gets it.
    pub fn cache(&self, capacity: usize, context: &ComputeContext) -> KvCacheConfig {
        let dtype = if context.is_exact() { KvCacheDtype::Full } else { KvCacheDtype::Half };
        KvCacheConfig { heads: self.shared, head_dim: self.head_dim, capacity, dtype }
    }
}

// === impl Attention ===

impl Attention {
    /// `name`: that of the module.
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize, shape: HeadShape) -> Loaded<Self> {
        let HeadShape { heads, shared, head_dim } = shape;
        let (inner, all) = (heads * head_dim, (heads + 2 * shared) * head_dim);
        Ok(Self {
            project_in: loader.linear_with(&format!("{name}.in_proj"), width, all, Bias::Absent)?,
            project_out: loader.linear_with(&format!("{name}.out_proj"), inner, width, Bias::Absent)?,
            shape,
        })
    }

    /// Feeds as many rows to each of some sequences, `[rows, width]`, sequence after sequence. To what it makes of them
    /// `residual` is added.
    pub fn forward(
        &self,
        at: usize,
        x: &Tensor,
        residual: &Tensor,
        rotation: &Rotation,
        sequences: &mut [&mut Sequence],
    ) -> Result<Tensor> {
        let HeadShape { heads, shared, head_dim } = self.shape;
        let (inner, of_keys) = (heads * head_dim, shared * head_dim);
        let all = self.project_in.forward(x, Epilogue::None)?;
        let queries = rotation.apply(&all.narrow(1, 0, inner)?)?;
        let keys = rotation.apply(&all.narrow(1, inner, of_keys)?)?;
        let values = all.narrow(1, inner + of_keys, of_keys)?;
        let count = x.dim(0)? / sequences.len().max(1);
        let mut caches = sequences.iter_mut().map(|sequence| sequence.cache_mut(at)).collect::<Result<Vec<_>>>()?;
        extend_each(&mut caches, &keys, &values)?;
        let mut seen = Vec::with_capacity(sequences.len());
        for sequence in sequences.iter() {
            seen.push(SequenceQueries { cache: sequence.cache(at)?, queries: count, causal: true });
        }
        self.project_out.forward(&attend_grouped(&queries, &seen, heads / shared)?, Epilogue::Add(residual))
    }
}

// === impl Mlp ===

impl Mlp {
    /// `name`: that of the module; `norm`: of the norm before it.
    pub fn load(loader: &mut Loader<'_>, name: &str, norm: &str, width: usize, epsilon: f32) -> Loaded<Self> {
        let up = format!("{name}.fc1.weight");
        let [both, _] = loader.weights.sizes(&up)?;
        if !both.is_multiple_of(2) {
            let reason = format!("has {both} rows, where two halves are expected");
            return Err(WeightError::tensor(up, reason).into());
        }
        let inner = both / 2;
        let weight = loader.weights.view(&up, &[both, width])?;
        // The file has the gate last.
        let halves = [weight.part(inner * width..both * width), weight.part(0..inner * width)];
        Ok(Self {
            norm: loader.layer_norm(norm, width, epsilon)?,
            gate_up: Linear::quantizable(&halves, None, width, loader.context)?,
            down: loader.linear_with(&format!("{name}.fc2"), inner, width, Bias::Absent)?,
            context: loader.context.clone(),
        })
    }

    /// `[rows, width]`, with what it was given.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.gate_up.forward(&self.norm.forward(x)?, Epilogue::None)?;
        self.down.forward(&swiglu(&inner, &self.context)?, Epilogue::Add(x))
    }
}
