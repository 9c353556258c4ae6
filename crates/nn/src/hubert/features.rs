//! Samples to frames: convolutions without padding, of which the first is normalised over all of a recording.

use candle_core::{DType, Result, Tensor};

use super::config::{HubertConfig, WINDOW};
use crate::{
    context::ComputeContext,
    conv::{Conv1d, Conv1dConfig},
    linear::Epilogue,
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Of what is divided by.
const EPSILON: f64 = 1e-5;

#[derive(Debug)]
pub struct Features {
    /// Of one channel of samples. The norm leaves nothing of a bias.
    first: First,
    rest: Vec<Conv1d>,
    /// Samples from one frame to the next, and those that a frame is made of.
    hop: usize,
    span: usize,
}

#[derive(Debug)]
struct First {
    config: Conv1dConfig,
    /// `[columns, taps]`
    weight: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// Of each channel over all steps.
struct Moments {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

// === impl Features ===

impl Features {
    pub fn load(loader: &mut Loader<'_>, name: &str, config: &HubertConfig) -> Loaded<Self> {
        let layer = |at: usize| format!("{name}.conv_layers.{at}");
        let count = loader.weights.count(|at| format!("{}.conv.weight", layer(at)));
        if count != config.conv_stride.len() || count == 0 {
            let name = format!("{}.conv.weight", layer(count.min(config.conv_stride.len())));
            let expected = config.conv_stride.len();
            let reason =
                format!("does not match config.json: there are {count} layers, and conv_stride has {expected}");
            return Err(WeightError::tensor(name, reason).into());
        }
        let first = First::load(loader, &layer(0), config.conv_stride[0])?;
        let mut rest = Vec::with_capacity(count - 1);
        let (mut depth, mut hop, mut span) = (first.config.columns, first.config.stride, first.config.taps);
        for (at, &stride) in config.conv_stride.iter().enumerate().skip(1) {
            let name = format!("{}.conv", layer(at));
            let [columns, _, taps] = loader.weights.sizes(&format!("{name}.weight"))?;
            let bias = if loader.weights.has(&format!("{name}.bias")) { Bias::Present } else { Bias::Absent };
            rest.push(loader.conv1d(&name, valid(depth, columns, taps, stride), bias)?);
            (depth, span, hop) = (columns, span + (taps - 1) * hop, hop * stride);
        }
        Ok(Self { first, rest, hop, span })
    }

    /// Frames of so many samples.
    pub fn frames(&self, samples: usize) -> usize {
        samples.checked_sub(self.span).map_or(0, |spare| spare / self.hop + 1)
    }

    /// `[frames, depth]`
    pub fn forward(&self, samples: &[f32], context: &ComputeContext) -> Result<Tensor> {
        let frames = self.frames(samples.len());
        if frames == 0 {
            candle_core::bail!("{} samples are too few for a frame, which takes {}", samples.len(), self.span);
        }
        let first = self.first.normed(&self.first.moments(samples, context)?, context)?;
        let of_frame = self.hop / self.first.config.stride * self.first.config.columns;
        let window = (WINDOW / of_frame.max(1)).max(1);
        let mut parts = Vec::with_capacity(frames.div_ceil(window));
        for start in (0..frames).step_by(window) {
            let count = window.min(frames - start);
            let heard = &samples[start * self.hop..(start + count - 1) * self.hop + self.span];
            let mut x = first.forward(&column(heard, context)?, Epilogue::Gelu)?;
            for conv in &self.rest {
                x = conv.forward(&x, Epilogue::Gelu)?;
            }
            parts.push(x);
        }
        Tensor::cat(&parts, 0)
    }
}

// === impl First ===

impl First {
    fn load(loader: &mut Loader<'_>, name: &str, stride: usize) -> Loaded<Self> {
        let conv = format!("{name}.conv");
        let [columns, _, taps] = loader.weights.sizes(&format!("{conv}.weight"))?;
        loader.weights.ignore(&format!("{conv}.bias"));
        Ok(Self {
            config: valid(1, columns, taps, stride),
            weight: loader.weights.take_weight(&conv, &[columns, 1, taps])?,
            scale: loader.weights.take(&format!("{name}.layer_norm.weight"), &[columns])?,
            shift: loader.weights.take(&format!("{name}.layer_norm.bias"), &[columns])?,
        })
    }

    /// Of what the convolution makes of all samples.
    fn moments(&self, samples: &[f32], context: &ComputeContext) -> Result<Moments> {
        let Conv1dConfig { columns, taps, stride, .. } = self.config;
        let steps = self.config.frames(samples.len()).unwrap_or(0);
        let conv = Conv1d::new(&self.weight, None, self.config, context)?;
        let mut moments = Moments { mean: vec![0.0; columns], variance: vec![0.0; columns] };
        let window = (WINDOW / columns).max(1);
        for start in (0..steps).step_by(window) {
            let count = window.min(steps - start);
            let heard = &samples[start * stride..(start + count - 1) * stride + taps];
            let made = conv.forward(&column(heard, context)?, Epilogue::None)?.to_dtype(DType::F32)?;
            moments.add(&made.flatten_all()?.to_vec1()?);
        }
        moments.finish(steps);
        Ok(moments)
    }

    /// Convolution and norm as one.
    fn normed(&self, moments: &Moments, context: &ComputeContext) -> Result<Conv1d> {
        let (mut weight, mut bias) = (self.weight.clone(), self.shift.clone());
        for (at, taps) in weight.chunks_exact_mut(self.config.taps).enumerate() {
            let scale = f64::from(self.scale[at]) / (moments.variance[at] + EPSILON).sqrt();
            bias[at] -= (moments.mean[at] * scale) as f32;
            taps.iter_mut().for_each(|tap| *tap = (f64::from(*tap) * scale) as f32);
        }
        Conv1d::new(&weight, Some(bias), self.config, context)
    }
}

// === impl Moments ===

impl Moments {
    /// Sums, until they are finished. `steps`: row by row.
    fn add(&mut self, steps: &[f32]) {
        for step in steps.chunks_exact(self.mean.len()) {
            for ((sum, squares), &x) in self.mean.iter_mut().zip(&mut self.variance).zip(step) {
                *sum += f64::from(x);
                *squares += f64::from(x) * f64::from(x);
            }
        }
    }

    fn finish(&mut self, steps: usize) {
        let steps = steps.max(1) as f64;
        for (mean, variance) in self.mean.iter_mut().zip(&mut self.variance) {
            *mean /= steps;
            *variance = (*variance / steps - *mean * *mean).max(0.0);
        }
    }
}

/// Without padding.
fn valid(depth: usize, columns: usize, taps: usize, stride: usize) -> Conv1dConfig {
    Conv1dConfig { depth, columns, taps, stride, dilation: 1, padding: (0, 0) }
}

fn column(samples: &[f32], context: &ComputeContext) -> Result<Tensor> {
    context.tensor(samples.to_vec(), &[samples.len(), 1])
}
