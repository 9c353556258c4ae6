//! The direction of the flow at a point of it: a small U-net over frames, one level deep.

mod resnet;
mod time;
mod transformer;

use candle_core::{Result, Tensor};

use self::{
    resnet::{NormedConv, Resnet},
    time::TimeEmbedding,
    transformer::{HEAD_DIM, TransformerBlock, heads},
};
use super::stack::{CausalConv, Stack, pointwise};
use crate::nn::{
    ComputeContext, Epilogue, Linear,
    activation::mish,
    attention::{KvCache, KvCacheConfig, KvCacheDtype},
    weights::{Loaded, Loader, WeightError},
};

/// The layers, weights only.
#[derive(Debug)]
pub struct Estimator {
    time: TimeEmbedding,
    down: Stage,
    after_down: CausalConv,
    middle: Vec<Stage>,
    up: Stage,
    after_up: CausalConv,
    last: NormedConv,
    projection: Linear,
    heads: usize,
}

/// Convolutions, then attention.
#[derive(Debug)]
struct Stage {
    resnet: Resnet,
    blocks: Vec<TransformerBlock>,
}

/// What an estimate needs beside the weights; it can be used for any number of them.
pub struct EstimatorState {
    stack: Stack,
    /// One a sequence, for one layer after the other.
    caches: Vec<KvCache>,
}

// === impl Estimator ===

impl Estimator {
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        let [bands, width, _] = loader.weights.sizes(&format!("{name}.final_proj.weight"))?;
        let first = format!("{name}.down_blocks.0.0.block1.block.0.weight");
        let [_, depth, _] = loader.weights.sizes(&first)?;
        if bands.checked_mul(4) != Some(depth) {
            return Err(WeightError::tensor(
                first,
                format!("takes {depth} channels, where four times {bands} are expected"),
            )
            .into());
        }
        let heads = heads(loader, &format!("{name}.down_blocks.0.1.0"))?;
        let time = TimeEmbedding::load(loader, name)?;
        let sizes = StageSizes { depth, width, time: time.width(), heads };
        let middle = loader.weights.count(|at| format!("{name}.mid_blocks.{at}.0.block1.block.0.weight"));
        let middle = (0..middle)
            .map(|at| Stage::load(loader, &format!("{name}.mid_blocks.{at}"), StageSizes { depth: width, ..sizes }));
        Ok(Self {
            middle: middle.collect::<Loaded<_>>()?,
            down: Stage::load(loader, &format!("{name}.down_blocks.0"), sizes)?,
            after_down: CausalConv::load(loader, &format!("{name}.down_blocks.0.2"), width, width)?,
            up: Stage::load(loader, &format!("{name}.up_blocks.0"), StageSizes { depth: 2 * width, ..sizes })?,
            after_up: CausalConv::load(loader, &format!("{name}.up_blocks.0.2"), width, width)?,
            last: NormedConv::load(loader, &format!("{name}.final_block.block"), width, width)?,
            projection: pointwise(loader, &format!("{name}.final_proj"), width, bands)?,
            time,
            heads,
        })
    }

    pub fn bands(&self) -> usize {
        self.projection.columns()
    }

    /// Whether it estimates the mean direction from one time to another, not that at a time.
    pub fn is_mean_flow(&self) -> bool {
        self.time.is_mixed()
    }

    pub fn memory(&self, stack: Stack, context: &ComputeContext) -> Result<EstimatorState> {
        let config =
            KvCacheConfig { heads: self.heads, head_dim: HEAD_DIM, capacity: stack.frames, dtype: KvCacheDtype::Full };
        let caches = (0..stack.sequences).map(|_| KvCache::new(&config, context)).collect::<Result<_>>()?;
        Ok(EstimatorState { stack, caches })
    }

    /// `x`: state, mean, speaker and prompt of each sequence side by side, `[sequences * frames, 4 * bands]`; `times`: where
    /// the step begins and ends → `[sequences * frames, bands]`; none if `stop` says so meanwhile.
    pub fn forward(
        &self,
        context: &ComputeContext,
        x: &Tensor,
        times: (f32, f32),
        memory: &mut EstimatorState,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Tensor>> {
        let stack = memory.stack;
        let time = mish(&self.time.forward(context, times)?)?;
        let skipped = self.down.forward(x, &time, memory)?;
        let mut x = self.after_down.forward(&skipped, stack)?;
        for stage in &self.middle {
            if stop() {
                return Ok(None);
            }
            x = stage.forward(&x, &time, memory)?;
        }
        let x = self.up.forward(&Tensor::cat(&[&x, &skipped], 1)?, &time, memory)?;
        let x = self.last.forward(&self.after_up.forward(&x, stack)?, stack)?;
        self.projection.forward(&x, Epilogue::None).map(Some)
    }
}

/// What the parts of a stage must match.
#[derive(Clone, Copy, Debug)]
struct StageSizes {
    /// Channels that come in.
    depth: usize,
    /// Channels that go out.
    width: usize,
    /// Numbers of a time.
    time: usize,
    heads: usize,
}

// === impl Stage ===

impl Stage {
    fn load(loader: &mut Loader<'_>, name: &str, sizes: StageSizes) -> Loaded<Self> {
        let StageSizes { depth, width, time, heads } = sizes;
        let blocks = loader.weights.count(|at| format!("{name}.1.{at}.norm1.weight"));
        let blocks = (0..blocks)
            .map(|at| TransformerBlock::load(loader, &format!("{name}.1.{at}"), width, heads))
            .collect::<Loaded<_>>()?;
        Ok(Self { resnet: Resnet::load(loader, &format!("{name}.0"), (depth, width), time)?, blocks })
    }

    /// `time`: activated, `[1, time]`.
    fn forward(&self, x: &Tensor, time: &Tensor, memory: &mut EstimatorState) -> Result<Tensor> {
        let mut x = self.resnet.forward(x, time, memory.stack)?;
        for block in &self.blocks {
            x = block.forward(&x, memory.stack, &mut memory.caches)?;
        }
        Ok(x)
    }
}
