//! The encoder: a window of log-mel to features.

use candle_core::{Result, Tensor};

use super::layers::{Loaded, Loader, Mlp, SelfAttention};
use crate::{
    families::whisper::config::Config,
    nn::{ComputeContext, Epilogue, KvCache, KvCacheDtype, LayerNorm, Linear, SequenceQueries, attend},
};

/// The layers, weights only.
#[derive(Debug)]
pub(super) struct Encoder {
    first: Linear,
    second: Linear,
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
            first: loader.convolution("encoder.conv1", config.num_mel_bins, width)?,
            second: loader.convolution("encoder.conv2", width, width)?,
            positions: positions(loader, config)?,
            layers: (0..config.encoder_layers).map(|at| layer(loader, at)).collect::<Loaded<_>>()?,
            norm: loader.norm("encoder.layer_norm", width)?,
        })
    }

    /// `mel`: `[num_mel_bins, frames]`, row by row → `[positions, width]`
    pub fn forward(&self, config: &Config, context: &ComputeContext, mel: &[f32]) -> Result<Tensor> {
        let (bands, frames) = (config.num_mel_bins, config.frames());
        if mel.len() != bands * frames {
            candle_core::bail!("a window has {bands} bands of {frames} frames, which {} numbers are not", mel.len());
        }
        let mel = Tensor::from_slice(mel, (bands, frames), &context.device)?.to_dtype(context.activations())?;
        let x = self.first.forward(&three_frames(&mel.t()?.contiguous()?, 1)?, Epilogue::Gelu)?;
        let x = self.second.forward(&three_frames(&x, 2)?, Epilogue::Gelu)?;
        let mut x = (x + &self.positions)?;
        let heads = config.encoder_attention_heads;
        let mut cache =
            KvCache::new(heads, config.d_model / heads, config.max_source_positions, KvCacheDtype::Full, context)?;
        for (attention, mlp) in &self.layers {
            let [queries, keys, values] = attention.project(&x)?;
            cache.truncate(0);
            cache.extend(&keys, &values)?;
            let sequence = SequenceQueries { cache: &cache, queries: config.max_source_positions, causal: false };
            x = attention.finish(&attend(&queries, &[sequence])?, &x)?;
            x = mlp.forward(&x)?;
        }
        self.norm.forward(&x)
    }
}

/// Each frame with its neighbours, zeros outside: `[frames, width]` → `[frames / stride, 3 * width]`.
fn three_frames(x: &Tensor, stride: usize) -> Result<Tensor> {
    let (frames, width) = x.dims2()?;
    let padded = x.pad_with_zeros(0, 1, stride)?;
    let tap = |at: usize| padded.narrow(0, at, frames)?.reshape((frames / stride, stride * width))?.narrow(1, 0, width);
    Tensor::cat(&[tap(0)?, tap(1)?, tap(2)?], 1)
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

/// Sines in the first half of each row, cosines in the second, of wavelengths from 2π to 10 000 · 2π.
fn sinusoids(count: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let step = 10_000f64.ln() / (half.max(2) - 1) as f64;
    let angle = move |position: usize, at: usize| position as f64 * (-step * at as f64).exp();
    let row = move |position: usize| {
        let sines = (0..half).map(move |at| angle(position, at).sin() as f32);
        sines.chain((0..width - half).map(move |at| angle(position, at).cos() as f32))
    };
    (0..count).flat_map(row).collect()
}
