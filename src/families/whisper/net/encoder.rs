//! The encoder: a window of log-mel to features.

use candle_core::{Result, Tensor};

use super::layers::{EPSILON, Mlp, SelfAttention};
use crate::{
    families::whisper::config::Config,
    nn::{
        ComputeContext, Conv1d, Epilogue, LayerNorm,
        attention::{KvCache, KvCacheConfig, KvCacheDtype, SequenceQueries, attend},
        sinusoids,
        weights::{Loaded, Loader},
    },
};

/// The layers, weights only.
#[derive(Debug)]
pub(super) struct Encoder {
    conv1: Conv1d,
    conv2: Conv1d,
    /// `[positions, width]`
    positions: Tensor,
    layers: Vec<(SelfAttention, Mlp)>,
    norm: LayerNorm,
}

// === impl Encoder ===

impl Encoder {
    pub fn load(loader: &mut Loader<'_>, config: &Config) -> Loaded<Self> {
        let width = config.d_model;
        let layer = |loader: &mut Loader<'_>, at: usize| {
            let name = format!("encoder.layers.{at}");
            let attention = SelfAttention::load(loader, &name, width)?;
            Loaded::Ok((attention, Mlp::load(loader, &name, width, config.encoder_ffn_dim)?))
        };
        Ok(Self {
            conv1: loader.conv1d("encoder.conv1", config.num_mel_bins, width, 1)?,
            conv2: loader.conv1d("encoder.conv2", width, width, 2)?,
            positions: positions(loader, config)?,
            layers: (0..config.encoder_layers).map(|at| layer(loader, at)).collect::<Loaded<_>>()?,
            norm: loader.layer_norm("encoder.layer_norm", width, EPSILON)?,
        })
    }

    /// `mel`: `[num_mel_bins, frames]`, row by row → `[positions, width]`
    pub fn forward(&self, config: &Config, context: &ComputeContext, mel: &[f32]) -> Result<Tensor> {
        let (bands, frames) = (config.num_mel_bins, config.frames());
        if mel.len() != bands * frames {
            candle_core::bail!("a window has {bands} bands of {frames} frames, which {} numbers are not", mel.len());
        }
        let mel = Tensor::from_slice(mel, (bands, frames), &context.device)?.to_dtype(context.activations())?;
        let x = self.conv1.forward(&mel.t()?.contiguous()?, Epilogue::Gelu)?;
        let x = self.conv2.forward(&x, Epilogue::Gelu)?;
        let mut x = (x + &self.positions)?;
        let mut cache = KvCache::new(&cache_config(config), context)?;
        for (attention, mlp) in &self.layers {
            let [queries, keys, values] = attention.project_in(&x)?;
            cache.truncate(0);
            cache.extend(&keys, &values)?;
            let sequence = SequenceQueries { cache: &cache, queries: config.max_source_positions, causal: false };
            x = attention.project_out(&attend(&queries, &[sequence])?, &x)?;
            x = mlp.forward(&x)?;
        }
        self.norm.forward(&x)
    }
}

/// One cache, for one layer after the other.
fn cache_config(config: &Config) -> KvCacheConfig {
    let heads = config.encoder_attention_heads;
    let capacity = config.max_source_positions;
    KvCacheConfig { heads, head_dim: config.d_model / heads, capacity, dtype: KvCacheDtype::Full }
}

/// The table in the file, or the sinusoids that it would hold.
fn positions(loader: &mut Loader<'_>, config: &Config) -> Loaded<Tensor> {
    const NAME: &str = "encoder.embed_positions.weight";
    let (count, width) = (config.max_source_positions, config.d_model);
    if loader.weights.has(NAME) {
        return loader.table(NAME, count, width);
    }
    Ok(loader.context.tensor(sinusoids(count, width), &[count, width])?)
}
