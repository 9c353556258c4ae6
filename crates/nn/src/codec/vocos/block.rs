//! A block of a ConvNeXt over time.

use candle_core::{Result, Tensor};

use crate::{
    conv::{DepthwiseConv1d, DepthwiseConv1dConfig},
    linear::{Epilogue, Linear},
    norm::LayerNorm,
    weights::{Bias, Loaded, Loader},
};

/// `x + scale · narrow(gelu(wide(norm(each(x)))))`
#[derive(Debug)]
pub struct Block {
    each: DepthwiseConv1d,
    norm: LayerNorm,
    wide: Linear,
    /// Scaled.
    narrow: Linear,
    reach: usize,
}

// === impl Block ===

impl Block {
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize, epsilon: f32) -> Loaded<Self> {
        let [_, _, taps] = loader.weights.sizes(&format!("{name}.dwconv.weight"))?;
        let [inner, _] = loader.weights.sizes(&format!("{name}.pwconv1.weight"))?;
        let reach = taps / 2;
        let each = DepthwiseConv1dConfig { channels: width, taps, padding: (reach, reach) };
        let scale = loader.weights.take(&format!("{name}.gamma"), &[width])?;
        let mut weight = loader.weights.take(&format!("{name}.pwconv2.weight"), &[width, inner])?;
        let mut bias = loader.weights.take(&format!("{name}.pwconv2.bias"), &[width])?;
        for ((row, bias), scale) in weight.chunks_exact_mut(inner).zip(&mut bias).zip(&scale) {
            row.iter_mut().for_each(|x| *x *= scale);
            *bias *= scale;
        }
        Ok(Self {
            each: loader.depthwise_conv1d(&format!("{name}.dwconv"), each, Bias::Present)?,
            norm: loader.layer_norm(&format!("{name}.norm"), width, epsilon)?,
            wide: loader.linear(&format!("{name}.pwconv1"), width, inner)?,
            narrow: Linear::new(&[weight.into()], Some(bias), inner, loader.context)?,
            reach,
        })
    }

    /// Frames to either side that a frame is made of.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// Numbers of a frame in the middle of it.
    pub fn widest(&self) -> usize {
        self.wide.columns()
    }

    /// `[frames, width]` → `[frames, width]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let normed = self.norm.forward(&self.each.forward(x)?)?;
        self.narrow.forward(&self.wide.forward(&normed, Epilogue::Gelu)?, Epilogue::Add(x))
    }
}
