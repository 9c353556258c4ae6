//! From a log-mel to a state for each token.

use candle_core::{Result, Tensor};

use super::{block::Block, windows};
use crate::nn::{
    ComputeContext, Conv1d, Conv1dConfig, Epilogue, Rope,
    attention::{KvCache, KvCacheConfig, KvCacheDtype},
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Numbers of a head.
const HEAD_DIM: usize = 64;
/// The base of the wavelengths of its positions.
const THETA: f32 = 10_000.0;
/// Of either convolution.
const STRIDE: usize = 2;

pub struct Encoder {
    conv1: Conv1d,
    conv2: Conv1d,
    blocks: Vec<Block>,
    rope: Rope,
}

// === impl Encoder ===

impl Encoder {
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        let tensor = format!("{name}.conv1.weight");
        let [width, bands, taps] = loader.weights.sizes(&tensor)?;
        if width % HEAD_DIM != 0 {
            let reason = format!("is {width} wide, where a multiple of {HEAD_DIM} is expected");
            return Err(WeightError::Tensor { tensor, reason }.into());
        }
        let halving = |depth| Conv1dConfig { stride: STRIDE, ..Conv1dConfig::same(depth, width, taps) };
        let block = |at: usize| format!("{name}.blocks.{at}");
        let blocks = (0..).map(block).take_while(|block| loader.weights.has(&format!("{block}.attn_ln.weight")));
        let blocks = blocks.collect::<Vec<_>>();
        Ok(Self {
            conv1: loader.conv1d(&format!("{name}.conv1"), halving(bands), Bias::Present)?,
            conv2: loader.conv1d(&format!("{name}.conv2"), halving(width), Bias::Present)?,
            blocks: blocks.iter().map(|block| Block::load(loader, block, width)).collect::<Loaded<_>>()?,
            rope: Rope::new(HEAD_DIM, THETA, None, loader.context),
        })
    }

    /// Bands of the log-mel.
    pub fn bands(&self) -> usize {
        self.conv1.config().depth
    }

    pub fn width(&self) -> usize {
        self.conv1.config().columns
    }

    /// `[frames, bands]`, at least one frame → `[tokens, width]`
    pub fn forward(&self, mel: &Tensor, context: &ComputeContext) -> Result<Tensor> {
        let x = self.conv2.forward(&self.conv1.forward(mel, Epilogue::Gelu)?, Epilogue::Gelu)?;
        let tokens = x.dim(0)?;
        debug_assert_eq!(tokens, windows::tokens(mel.dim(0)?));
        let turn = self.rope.at(&(0..tokens as u32).collect::<Vec<_>>())?;
        // One cache, for one layer after the other.
        let heads = self.width() / HEAD_DIM;
        let config = KvCacheConfig { heads, head_dim: HEAD_DIM, capacity: tokens, dtype: KvCacheDtype::Full };
        let mut cache = KvCache::new(&config, context)?;
        self.blocks.iter().try_fold(x, |x, block| block.forward(&x, &turn, &mut cache))
    }
}
