//! The encoder that Whisper made common: two convolutions, of which the second halves the frames of a log-mel, and
//! transformer layers that see the whole window.

use candle_core::{DType, Device, Result, Tensor};

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

/// Bytes that the scores of attention may have at once where all heads of a pass are scored together: three windows of 30 s of
/// large-v3 in halves. Beyond that a launch is long enough.
const SCORES: usize = 256 << 20;

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
    /// Bytes of the activations of so many windows at their widest, which an accelerator has in that type; `None` if nobody can
    /// count so far.
    pub fn workspace(&self, device: &Device, dtype: DType, windows: usize) -> Option<usize> {
        // Input, projections, keys and values, output; or input, norm, inner layer, output.
        let widest = self.width.checked_mul(8)?.max(self.width.checked_mul(3)?.checked_add(self.inner)?);
        let numbers = self.positions.checked_mul(widest)?.checked_mul(windows)?;
        if device.is_cpu() {
            // A layer's weights in the form that a matrix unit takes.
            let split = self.width.checked_mul(self.inner)?;
            return numbers.checked_add(split)?.checked_mul(size_of::<f32>());
        }
        // Before the softmax and after it.
        let heads = self.heads.checked_mul(windows)?.min(heads_at_once(self.positions, dtype));
        let scores = self.positions.checked_mul(self.positions)?.checked_mul(heads)?.checked_mul(2)?;
        numbers.checked_add(scores)?.checked_mul(dtype.size_in_bytes())
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
        if context.kernels.is_none() {
            return self.forward_at_once(context, &[mel]);
        }
        let (bands, frames) = (self.config.bands, self.frames(mel)?);
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

    /// The same of several windows that are equally long: `[n, width]` of each. With our own kernels one after the other, which
    /// takes all threads as it is; else in one pass.
    pub fn forward_each(&self, context: &ComputeContext, mels: &[&[f32]]) -> Result<Vec<Tensor>> {
        if context.kernels.is_some() {
            return mels.iter().map(|mel| self.forward(context, mel)).collect();
        }
        let x = self.forward_at_once(context, mels)?;
        let positions = x.dim(0)? / mels.len().max(1);
        (0..mels.len()).map(|at| x.narrow(0, at * positions, positions)).collect()
    }

    /// `[windows * n, width]`
    fn forward_at_once(&self, context: &ComputeContext, mels: &[&[f32]]) -> Result<Tensor> {
        let frames = mels.first().map_or(Ok(0), |mel| self.frames(mel))?;
        if frames == 0 || mels.iter().any(|mel| mel.len() != mels[0].len()) {
            candle_core::bail!("{} windows are not equally long", mels.len());
        }
        let (windows, bands, positions) = (mels.len(), self.config.bands, frames / 2);
        let mel = context.tensor(mels.concat(), &[windows, bands, frames])?;
        let x = self.conv1.forward_each(&mel.transpose(1, 2)?.contiguous()?, Epilogue::Gelu)?;
        let x = self.conv2.forward_each(&x, Epilogue::Gelu)?;
        let x = x.broadcast_add(&self.positions.narrow(0, 0, positions)?)?;
        let mut x = x.reshape((windows * positions, self.config.width))?;
        for (attention, mlp) in &self.layers {
            let all = attention.project(&x)?;
            let some = heads_at_once(positions, all.dtype());
            x = attention.project_out(&attend_at_once(&all, windows, self.config.heads, some)?, &x)?;
            x = mlp.forward(&x)?;
        }
        self.norm.forward(&x)
    }

    /// Of a window.
    fn frames(&self, mel: &[f32]) -> Result<usize> {
        let (bands, most) = (self.config.bands, 2 * self.config.positions);
        let frames = mel.len() / bands;
        if frames * bands != mel.len() || frames == 0 || !frames.is_multiple_of(2) || frames > most {
            candle_core::bail!(
                "a window has {bands} bands of {most} frames at most, which {} numbers are not",
                mel.len()
            );
        }
        Ok(frames)
    }
}

/// Attention within each window: queries, keys and values side by side, `[windows * n, 3 * width]` → `[windows * n, width]`. So many
/// heads at once, of whichever windows.
fn attend_at_once(all: &Tensor, windows: usize, heads: usize, some: usize) -> Result<Tensor> {
    let (rows, width) = (all.dim(0)?, all.dim(1)? / 3);
    let (positions, every, head_dim) = (rows / windows, windows * heads, width / heads);
    let all = all.reshape((windows, positions, 3, heads, head_dim))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
    let all = all.reshape((3, every, positions, head_dim))?;
    let queries = (all.get(0)? * (head_dim as f64).powf(-0.5))?;
    let (keys, values) = (all.get(1)?.transpose(1, 2)?, all.get(2)?);
    let attended = (0..every).step_by(some).map(|from| {
        let count = some.min(every - from);
        let scores = queries.narrow(0, from, count)?.matmul(&keys.narrow(0, from, count)?)?;
        candle_nn::ops::softmax_last_dim(&scores)?.matmul(&values.narrow(0, from, count)?)
    });
    let attended = attended.collect::<Result<Vec<_>>>()?;
    let attended = if let [all] = &attended[..] { all.clone() } else { Tensor::cat(&attended, 0)? };
    attended.reshape((windows, heads, positions, head_dim))?.transpose(1, 2)?.reshape((rows, width))
}

/// Whose scores may be there at once, at least one.
fn heads_at_once(positions: usize, dtype: DType) -> usize {
    (SCORES / positions.saturating_mul(positions).saturating_mul(dtype.size_in_bytes()).max(1)).max(1)
}

/// The table in the file, or the sinusoids that it would hold.
fn positions(loader: &mut Loader<'_>, name: &str, config: &AudioEncoderConfig) -> Loaded<Tensor> {
    let (count, width) = (config.positions, config.width);
    if loader.weights.has(name) {
        return loader.table(name, count, width);
    }
    Ok(loader.context.tensor(sinusoids(count, width), &[count, width])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As each window alone attends by its cache.
    #[test]
    fn windows_attend_to_themselves_however_many_heads_are_scored_at_once() -> Result<()> {
        let (windows, heads, head_dim, positions) = (3, 2, 8, 5);
        let (rows, width) = (windows * positions, heads * head_dim);
        let numbers = (0..rows * 3 * width).map(|at| (at as f32 * 0.37).sin()).collect::<Vec<_>>();
        let all = Tensor::from_vec(numbers, (rows, 3 * width), &Device::Cpu)?;
        let context = ComputeContext::new(&Device::Cpu, DType::F32);
        let alone = |window: usize| {
            let part =
                |at: usize| all.narrow(0, window * positions, positions)?.narrow(1, at * width, width)?.contiguous();
            let config = KvCacheConfig { heads, head_dim, capacity: positions, dtype: KvCacheDtype::Full };
            let mut cache = KvCache::new(&config, &context)?;
            cache.extend(&part(1)?, &part(2)?)?;
            attend(&part(0)?, &[SequenceQueries { cache: &cache, queries: positions, causal: false }])
        };
        let expected = Tensor::cat(&(0..windows).map(alone).collect::<Result<Vec<_>>>()?, 0)?;
        for some in [1, 4, 6, 100] {
            let found = attend_at_once(&all, windows, heads, some)?;
            let difference = (found - &expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(difference < 1e-5, "{some} at once: {difference}");
        }
        Ok(())
    }

    #[test]
    fn scores_are_bounded_and_one_head_is_always_scored() {
        assert_eq!(heads_at_once(1500, DType::F16), 59);
        assert_eq!(heads_at_once(1500, DType::F32), 29);
        assert_eq!(heads_at_once(1 << 20, DType::F16), 1);
    }
}
