//! HuBERT (Hsu and others, arXiv 2106.07447) in the layout of `transformers`: what is said in a recording, as vectors of 50 frames
//! a second, one after each of its layers.
//!
//! Convolutions without padding make frames of samples (`features`), a convolution over many frames tells where each stands
//! (`positions`), and the layers of a transformer that normalises after each part see the whole recording (`layer`).
//!
//! The first convolution is normalised over all of a recording, so that there is none without its end.

mod config;
mod features;
mod layer;
mod positions;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};

pub use config::HubertConfig;

use self::{features::Features, layer::Layer, positions::Positions};
use crate::{
    attention::{KvCache, KvCacheConfig, KvCacheDtype},
    context::ComputeContext,
    linear::{Epilogue, Linear},
    norm::LayerNorm,
    weights::{Loaded, Loader, WeightError},
};

/// The weights.
#[derive(Debug)]
pub struct Hubert {
    features: Features,
    feature_norm: LayerNorm,
    projection: Linear,
    positions: Positions,
    norm: LayerNorm,
    layers: Vec<Layer>,
    heads: usize,
    width: usize,
    context: ComputeContext,
}

// === impl Hubert ===

impl Hubert {
    /// `prefix`: what the names of its tensors begin with, with the dot. Sizes are read from the tensors.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &HubertConfig) -> Loaded<Self> {
        config.check()?;
        let projection = format!("{prefix}feature_projection");
        let [width, depth] = loader.weights.sizes(&format!("{projection}.projection.weight"))?;
        let heads = config.heads(width);
        if heads == 0 || !width.is_multiple_of(heads) {
            let reason = format!("is {width} wide, which {heads} heads do not divide");
            return Err(WeightError::tensor(format!("{projection}.projection.weight"), reason).into());
        }
        // It hides what a model in training is to guess.
        loader.weights.ignore(&format!("{prefix}masked_spec_embed"));
        let (encoder, epsilon) = (format!("{prefix}encoder"), config.layer_norm_eps);
        let count = loader.weights.count(|at| format!("{encoder}.layers.{at}.layer_norm.weight"));
        let layer = |at: usize| format!("{encoder}.layers.{at}");
        Ok(Self {
            features: Features::load(loader, &format!("{prefix}feature_extractor"), config)?,
            feature_norm: loader.layer_norm(&format!("{projection}.layer_norm"), depth, epsilon)?,
            projection: loader.linear(&format!("{projection}.projection"), depth, width)?,
            positions: Positions::load(loader, &format!("{encoder}.pos_conv_embed.conv"), width)?,
            norm: loader.layer_norm(&format!("{encoder}.layer_norm"), width, epsilon)?,
            // At least one, which is then found missing.
            layers: (0..count.max(1))
                .map(|at| Layer::load(loader, &layer(at), width, epsilon))
                .collect::<Loaded<_>>()?,
            heads,
            width,
            context: loader.context.clone(),
        })
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Frames of so many samples.
    pub fn frames(&self, samples: usize) -> usize {
        self.features.frames(samples)
    }

    /// The mean of the vectors before the first layer and after each, `[frames, width]`, of samples at 16 kHz.
    ///
    /// # Errors
    /// For samples that are too few for a frame.
    pub fn mean_of_states(&self, samples: &[f32]) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        let mut failed = None;
        self.forward_watched(samples, |state| {
            let added = sum.take().map_or_else(|| Ok(state.clone()), |sum| sum + state);
            match added {
                Ok(added) => sum = Some(added),
                Err(error) => failed = Some(error),
            }
        })?;
        match (sum, failed) {
            (Some(sum), None) => sum / (self.layers.len() + 1) as f64,
            (_, Some(error)) => Err(error),
            (None, None) => candle_core::bail!("there is no state"),
        }
    }

    /// What is there after the last layer, `[frames, width]`; `watch` sees what is there before the first and after each.
    pub fn forward_watched(&self, samples: &[f32], mut watch: impl FnMut(&Tensor)) -> Result<Tensor> {
        let features = self.features.forward(samples, &self.context)?;
        let x = self.projection.forward(&self.feature_norm.forward(&features)?, Epilogue::None)?;
        let placed = (&x + self.positions.forward(&x)?)?;
        let mut x = self.norm.forward(&placed)?;
        watch(&x);
        let frames = x.dim(0)?;
        let (heads, head_dim) = (self.heads, self.width / self.heads);
        let cache = KvCacheConfig { heads, head_dim, capacity: frames, dtype: KvCacheDtype::Full };
        let mut cache = KvCache::new(&cache, &self.context)?;
        for layer in &self.layers {
            x = layer.forward(&x, &mut cache)?;
            watch(&x);
        }
        Ok(x)
    }
}
