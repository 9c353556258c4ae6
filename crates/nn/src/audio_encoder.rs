//! The encoder that Whisper made common: two convolutions, of which the second halves the frames of a log-mel, and
//! transformer layers that see the whole window.

use candle_core::{Device, Result, Tensor};

use crate::{
    attention::{KvCache, KvCacheConfig, KvCacheDtype, SequenceQueries, attend},
    context::ComputeContext,
    conv::{Conv1d, Conv1dConfig},
    embedding::sinusoids,
    linear::Epilogue,
    norm::LayerNorm,
    transformer::{EPSILON, Mlp, SelfAttention},
    weights::{Bias, Loaded, Loader},
};

/// Frames that each convolution looks at.
const TAPS: usize = 3;

/// The sizes of an encoder.
#[derive(Clone, Copy, Debug)]
pub struct AudioEncoderConfig {
    /// Bands of the log-mel.
    pub bands: usize,
    /// Positions of a window; it has twice as many frames.
    pub positions: usize,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    /// Width between the two layers of a feed-forward part.
    pub inner: usize,
}

/// The layers, weights only.
#[derive(Debug)]
pub struct AudioEncoder {
    config: AudioEncoderConfig,
    conv1: Conv1d,
    conv2: Conv1d,
    /// `[positions, width]`
    positions: Tensor,
    layers: Vec<(SelfAttention, Mlp)>,
    norm: LayerNorm,
}

// === impl AudioEncoderConfig ===

impl AudioEncoderConfig {
    /// Bytes of the activations of a window at their widest; `None` if nobody can count so far.
    pub fn workspace(&self, device: &Device) -> Option<usize> {
        // Input, projections, keys and values, output; or input, norm, inner layer, output.
        let widest = self.width.checked_mul(8)?.max(self.width.checked_mul(3)?.checked_add(self.inner)?);
        // Without our own kernels the scores of all heads exist at once, twice.
        let scores = if device.is_cpu() { 0 } else { self.heads.checked_mul(self.positions)?.checked_mul(2)? };
        // A layer's weights in the form that a matrix unit takes.
        let split = self.width.checked_mul(self.inner)?;
        let numbers = self.positions.checked_mul(widest.checked_add(scores)?)?.checked_add(split)?;
        numbers.checked_mul(size_of::<f32>())
    }

    /// One cache, for one layer after the other.
    fn cache(&self) -> KvCacheConfig {
        let head_dim = self.width / self.heads;
        KvCacheConfig { heads: self.heads, head_dim, capacity: self.positions, dtype: KvCacheDtype::Full }
    }
}

// === impl AudioEncoder ===

impl AudioEncoder {
    /// `name`: what the names of its tensors begin with, without the dot.
    pub fn load(loader: &mut Loader<'_>, name: &str, config: AudioEncoderConfig) -> Loaded<Self> {
        let width = config.width;
        let layer = |loader: &mut Loader<'_>, at: usize| {
            let name = format!("{name}.layers.{at}");
            let attention = SelfAttention::load(loader, &name, width)?;
            Loaded::Ok((attention, Mlp::load(loader, &name, width, config.inner)?))
        };
        let halving = Conv1dConfig { stride: 2, ..Conv1dConfig::same(width, width, TAPS) };
        Ok(Self {
            conv1: loader.conv1d(
                &format!("{name}.conv1"),
                Conv1dConfig::same(config.bands, width, TAPS),
                Bias::Present,
            )?,
            conv2: loader.conv1d(&format!("{name}.conv2"), halving, Bias::Present)?,
            positions: positions(loader, &format!("{name}.embed_positions.weight"), &config)?,
            layers: (0..config.layers).map(|at| layer(loader, at)).collect::<Loaded<_>>()?,
            norm: loader.layer_norm(&format!("{name}.layer_norm"), width, EPSILON)?,
            config,
        })
    }

    /// `mel`: `[bands, 2 * n]`, row by row → `[n, width]`, where `n` is all positions of a window, or only the first of
    /// them.
    pub fn forward(&self, context: &ComputeContext, mel: &[f32]) -> Result<Tensor> {
        let (bands, most) = (self.config.bands, 2 * self.config.positions);
        let frames = mel.len() / bands;
        if frames * bands != mel.len() || frames == 0 || !frames.is_multiple_of(2) || frames > most {
            candle_core::bail!(
                "a window has {bands} bands of {most} frames at most, which {} numbers are not",
                mel.len()
            );
        }
        let mel = Tensor::from_slice(mel, (bands, frames), &context.device)?.to_dtype(context.activations())?;
        let x = self.conv1.forward(&mel.t()?.contiguous()?, Epilogue::Gelu)?;
        let x = self.conv2.forward(&x, Epilogue::Gelu)?;
        let mut x = (x + self.positions.narrow(0, 0, frames / 2)?)?;
        let mut cache = KvCache::new(&self.config.cache(), context)?;
        for (attention, mlp) in &self.layers {
            let [queries, keys, values] = attention.project_in(&x)?;
            cache.truncate(0);
            cache.extend(&keys, &values)?;
            let sequence = SequenceQueries { cache: &cache, queries: frames / 2, causal: false };
            x = attention.project_out(&attend(&queries, &[sequence])?, &x)?;
            x = mlp.forward(&x)?;
        }
        self.norm.forward(&x)
    }
}

/// The table in the file, or the sinusoids that it would hold.
fn positions(loader: &mut Loader<'_>, name: &str, config: &AudioEncoderConfig) -> Loaded<Tensor> {
    let (count, width) = (config.positions, config.width);
    if loader.weights.has(name) {
        return loader.table(name, count, width);
    }
    Ok(loader.context.tensor(sinusoids(count, width), &[count, width])?)
}
