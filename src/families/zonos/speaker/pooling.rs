//! Statistics over time, weighed by attention (Okabe and others, arXiv 1803.10963).

use candle_core::{DType, Result, Tensor};

use super::{block::EPSILON, front::Front};
use crate::nn::{
    Epilogue, Linear,
    weights::{Loaded, Loader, WeightError},
};

/// Of a variance, at least.
const LEAST_VARIANCE: f64 = 1e-5;

/// Means and deviations of channels over time.
pub struct Pooling {
    down: Linear,
    up: Linear,
    channels: usize,
    bands: usize,
}

// === impl Pooling ===

impl Pooling {
    pub fn load(loader: &mut Loader<'_>, name: &str, front: &Front) -> Loaded<Self> {
        let first = format!("{name}.attention.0");
        let [inner, channels, _] = loader.weights.sizes(&format!("{first}.weight"))?;
        if channels % front.planes() != 0 {
            let reason = format!("takes {channels} channels, which are no multiple of {} planes", front.planes());
            return Err(WeightError::tensor(format!("{first}.weight"), reason).into());
        }
        let mut linear = |at: usize, depth: usize, columns: usize| {
            let name = format!("{name}.attention.{at}");
            let weight = loader.weights.take(&format!("{name}.weight"), &[columns, depth, 1])?;
            Loaded::Ok((weight, loader.weights.take(&format!("{name}.bias"), &[columns])?))
        };
        let ((down, down_bias), (mut up, mut up_bias)) = (linear(0, channels, inner)?, linear(3, inner, channels)?);
        let norm = loader.batch_norm(&format!("{name}.attention.2"), inner, EPSILON)?;
        norm.fold_into_next(&mut up, &mut up_bias);
        Ok(Self {
            down: Linear::new(&[down.into()], Some(down_bias), channels, loader.context)?,
            up: Linear::new(&[up.into()], Some(up_bias), inner, loader.context)?,
            channels,
            bands: channels / front.planes() * Front::bands_of_frequency(),
        })
    }

    /// Bands of the spectrum that there must have been.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Numbers that come out.
    pub fn width(&self) -> usize {
        2 * self.channels
    }

    /// `[frequencies, frames, planes]` → `[1, width]`, in `f32`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let frames = x.dim(1)?;
        // Planes stay together, and in each the frequencies.
        let x = x.permute((1, 2, 0))?.contiguous()?.reshape((frames, self.channels))?;
        let inner = self.down.forward(&x, Epilogue::None)?.relu()?;
        let scores = self.up.forward(&inner, Epilogue::None)?.to_dtype(DType::F32)?;
        let shares = candle_nn::ops::softmax(&scores, 0)?;
        let x = x.to_dtype(DType::F32)?;
        let weighed = (&x * &shares)?;
        let mean = weighed.sum_keepdim(0)?;
        let variance = ((weighed * &x)?.sum_keepdim(0)? - mean.sqr()?)?;
        Tensor::cat(&[mean, variance.maximum(LEAST_VARIANCE)?.sqrt()?], 1)
    }
}
