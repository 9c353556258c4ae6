//! A layer that normalises after each of its two parts.

use candle_core::{Result, Tensor};

use crate::{
    attention::{KvCache, SequenceQueries, attend},
    linear::{Epilogue, Linear},
    norm::LayerNorm,
    weights::{Bias, Loaded, Loader},
};

#[derive(Debug)]
pub struct Layer {
    /// Queries, keys and values.
    project_in: Linear,
    project_out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

// === impl Layer ===

impl Layer {
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize, epsilon: f32) -> Loaded<Self> {
        let (attention, inner) = (format!("{name}.attention"), format!("{name}.feed_forward"));
        let [columns, _] = loader.weights.sizes(&format!("{inner}.intermediate_dense.weight"))?;
        let projections = ["q_proj", "k_proj", "v_proj"].map(|projection| (projection, Bias::Present));
        Ok(Self {
            project_in: loader.fused(&attention, &projections, width, width)?,
            project_out: loader.linear(&format!("{attention}.out_proj"), width, width)?,
            attention_norm: loader.layer_norm(&format!("{name}.layer_norm"), width, epsilon)?,
            up: loader.linear(&format!("{inner}.intermediate_dense"), width, columns)?,
            down: loader.linear(&format!("{inner}.output_dense"), columns, width)?,
            norm: loader.layer_norm(&format!("{name}.final_layer_norm"), width, epsilon)?,
        })
    }

    /// `[frames, width]` → `[frames, width]`. `cache`: of so many positions; what it holds is of no matter.
    pub fn forward(&self, x: &Tensor, cache: &mut KvCache) -> Result<Tensor> {
        let all = self.project_in.forward(x, Epilogue::None)?;
        let (frames, width) = x.dims2()?;
        let part = |at: usize| all.narrow(1, at * width, width);
        cache.truncate(0);
        cache.extend(&part(1)?, &part(2)?)?;
        let sequence = SequenceQueries { cache, queries: frames, causal: false };
        let attended = attend(&part(0)?, &[sequence])?;
        let x = self.attention_norm.forward(&self.project_out.forward(&attended, Epilogue::Add(x))?)?;
        let inner = self.up.forward(&x, Epilogue::Gelu)?;
        self.norm.forward(&self.down.forward(&inner, Epilogue::Add(&x))?)
    }
}
