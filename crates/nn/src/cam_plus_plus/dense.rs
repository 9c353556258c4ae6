//! Densely connected layers over time: what a layer makes stands beside all that it heard.

use candle_core::{Result, Tensor};

use super::{mask::Mask, normed};
use crate::{
    Conv1d, Conv1dConfig, Epilogue, Linear, ScaleShift,
    weights::{Bias, Loaded, Loader},
};

pub struct Group {
    layers: Vec<Layer>,
    width: usize,
}

struct Layer {
    norm: ScaleShift,
    bottleneck: Linear,
    local: Conv1d,
    mask: Mask,
}

/// What makes a group's many channels fewer.
pub struct Transit {
    norm: ScaleShift,
    linear: Linear,
}

// === impl Group ===

impl Group {
    /// `width`: channels that come in.
    pub fn load(loader: &mut Loader<'_>, name: &str, mut width: usize, dilation: usize) -> Loaded<Self> {
        let mut layers = Vec::new();
        loop {
            let name = format!("{name}.tdnnd{}", layers.len() + 1);
            if !loader.weights.has(&format!("{name}.linear1.weight")) {
                return Ok(Self { layers, width });
            }
            let layer = Layer::load(loader, &name, width, dilation)?;
            width += layer.local.config().columns;
            layers.push(layer);
        }
    }

    /// Channels that go out.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `[frames, channels]` → `[frames, width]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.layers.iter().try_fold(x.clone(), |x, layer| Tensor::cat(&[&x, &layer.forward(&x)?], 1))
    }
}

// === impl Layer ===

impl Layer {
    fn load(loader: &mut Loader<'_>, name: &str, depth: usize, dilation: usize) -> Loaded<Self> {
        let cam = format!("{name}.cam_layer");
        let bottleneck = normed::linear(loader, &format!("{name}.linear1"), &format!("{name}.nonlinear2"), depth)?;
        let inner = bottleneck.columns();
        let [columns, _, taps] = loader.weights.sizes(&format!("{cam}.linear_local.weight"))?;
        let local = Conv1dConfig::same(inner, columns, taps).dilated(dilation);
        Ok(Self {
            norm: normed::scale_shift(loader, &format!("{name}.nonlinear1"), depth)?,
            bottleneck,
            local: loader.conv1d(&format!("{cam}.linear_local"), local, Bias::Absent)?,
            mask: Mask::load(loader, &cam, inner, columns)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.bottleneck.forward(&self.norm.forward_relu(x)?, Epilogue::None)?.relu()?;
        self.local.forward(&x, Epilogue::None)? * self.mask.forward(&x)?
    }
}

// === impl Transit ===

impl Transit {
    pub fn load(loader: &mut Loader<'_>, name: &str, depth: usize) -> Loaded<Self> {
        let weight = format!("{name}.linear.weight");
        let [columns, ..] = loader.weights.sizes::<3>(&weight)?;
        let weight = loader.weights.view(&weight, &[columns, depth, 1])?;
        Ok(Self {
            norm: normed::scale_shift(loader, &format!("{name}.nonlinear"), depth)?,
            linear: Linear::new(&[weight], None, depth, loader.context)?,
        })
    }

    pub fn width(&self) -> usize {
        self.linear.columns()
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.linear.forward(&self.norm.forward_relu(x)?, Epilogue::None)
    }
}
