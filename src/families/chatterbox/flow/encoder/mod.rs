//! From tokens to the average mel: a conformer that doubles the frames between its blocks.

mod block;
mod distances;
mod embed;
mod lookahead;
mod upsample;

use candle_core::{Result, Tensor};

use self::{block::Block, distances::distances, embed::Embed, lookahead::Lookahead, upsample::Upsample};
use crate::nn::{
    ComputeContext, EPSILON, Epilogue, LayerNorm, Linear,
    weights::{Bias, Loaded, Loader},
};

/// The layers, weights only.
#[derive(Debug)]
pub struct Encoder {
    /// `[tokens, width]`
    table: Linear,
    embed: Embed,
    lookahead: Lookahead,
    blocks: Vec<Block>,
    upsample: Upsample,
    embed_frames: Embed,
    frame_blocks: Vec<Block>,
    norm: LayerNorm,
    projection: Linear,
    width: usize,
}

// === impl Encoder ===

impl Encoder {
    /// `flow`: what the names of the flow's tensors begin with, without the dot.
    pub fn load(loader: &mut Loader<'_>, flow: &str) -> Loaded<Self> {
        let name = format!("{flow}.encoder");
        let [vocabulary, depth] = loader.weights.sizes(&format!("{flow}.input_embedding.weight"))?;
        let [width, _] = loader.weights.sizes(&format!("{name}.embed.out.0.weight"))?;
        let [bands, _] = loader.weights.sizes(&format!("{flow}.encoder_proj.weight"))?;
        Ok(Self {
            table: loader.linear_with(&format!("{flow}.input_embedding"), depth, vocabulary, Bias::Absent)?,
            embed: Embed::load(loader, &format!("{name}.embed"), depth, width)?,
            lookahead: Lookahead::load(loader, &format!("{name}.pre_lookahead_layer"), width)?,
            blocks: blocks(loader, &format!("{name}.encoders"), width)?,
            upsample: Upsample::load(loader, &format!("{name}.up_layer"), width)?,
            embed_frames: Embed::load(loader, &format!("{name}.up_embed"), width, width)?,
            frame_blocks: blocks(loader, &format!("{name}.up_encoders"), width)?,
            norm: loader.layer_norm(&format!("{name}.after_norm"), width, EPSILON)?,
            projection: loader.linear(&format!("{flow}.encoder_proj"), width, bands)?,
            width,
        })
    }

    pub fn bands(&self) -> usize {
        self.projection.columns()
    }

    pub fn frames_per_token(&self) -> usize {
        self.upsample.factor()
    }

    /// Frames that depend on tokens after the last one.
    pub fn lookahead(&self) -> usize {
        self.lookahead.tokens() * self.upsample.factor()
    }

    /// `[frames_per_token * tokens, bands]`; none if `stop` says so meanwhile. There is at least one token.
    pub fn forward(&self, context: &ComputeContext, tokens: &[u32], stop: &dyn Fn() -> bool) -> Result<Option<Tensor>> {
        let frames = tokens.len() * self.frames_per_token();
        let far = distances(frames, self.width, context)?;
        // Those of the tokens are in the middle of it.
        let near = far.narrow(0, frames - tokens.len(), 2 * tokens.len() - 1)?;

        let x = self.embed.forward(&self.table.rows(tokens)?)?;
        let x = self.lookahead.forward(&x)?;
        let Some(x) = through(&self.blocks, x, &near, stop)? else { return Ok(None) };
        let x = self.embed_frames.forward(&self.upsample.forward(&x)?)?;
        let Some(x) = through(&self.frame_blocks, x, &far, stop)? else { return Ok(None) };
        self.projection.forward(&self.norm.forward(&x)?, Epilogue::None).map(Some)
    }
}

fn blocks(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<Vec<Block>> {
    let count = loader.weights.count(|at| format!("{name}.{at}.norm_mha.weight"));
    (0..count).map(|at| Block::load(loader, &format!("{name}.{at}"), width)).collect()
}

fn through(blocks: &[Block], mut x: Tensor, distances: &Tensor, stop: &dyn Fn() -> bool) -> Result<Option<Tensor>> {
    for block in blocks {
        if stop() {
            return Ok(None);
        }
        x = block.forward(&x, distances)?;
    }
    Ok(Some(x))
}
