//! Convolutions that a residual goes around.

use candle_core::{Result, Tensor};

use super::super::stack::{CausalConv, Stack, pointwise};
use crate::nn::{
    Epilogue, LayerNorm, Linear,
    activation::mish,
    weights::{Loaded, Loader},
};

/// PyTorch's own.
const EPSILON: f32 = 1e-5;

/// A causal convolution, normalised and activated.
#[derive(Debug)]
pub struct NormedConv {
    conv: CausalConv,
    norm: LayerNorm,
}

/// Two of them, with the time between.
#[derive(Debug)]
pub struct Resnet {
    first: NormedConv,
    time: Linear,
    second: NormedConv,
    around: Linear,
}

// === impl NormedConv ===

impl NormedConv {
    pub fn load(loader: &mut Loader<'_>, name: &str, depth: usize, width: usize) -> Loaded<Self> {
        Ok(Self {
            conv: CausalConv::load(loader, &format!("{name}.0"), depth, width)?,
            norm: loader.layer_norm(&format!("{name}.2"), width, EPSILON)?,
        })
    }

    /// `[sequences * frames, depth]` → `[sequences * frames, width]`
    pub fn forward(&self, x: &Tensor, stack: Stack) -> Result<Tensor> {
        mish(&self.norm.forward(&self.conv.forward(x, stack)?)?)
    }
}

// === impl Resnet ===

impl Resnet {
    /// `time`: numbers of a time.
    pub fn load(loader: &mut Loader<'_>, name: &str, (depth, width): (usize, usize), time: usize) -> Loaded<Self> {
        Ok(Self {
            first: NormedConv::load(loader, &format!("{name}.block1.block"), depth, width)?,
            time: loader.linear(&format!("{name}.mlp.1"), time, width)?,
            second: NormedConv::load(loader, &format!("{name}.block2.block"), width, width)?,
            around: pointwise(loader, &format!("{name}.res_conv"), depth, width)?,
        })
    }

    /// `time`: activated, `[1, time]`.
    pub fn forward(&self, x: &Tensor, time: &Tensor, stack: Stack) -> Result<Tensor> {
        let inner = self.first.forward(x, stack)?;
        let inner = inner.broadcast_add(&self.time.forward(time, Epilogue::None)?)?;
        let inner = self.second.forward(&inner, stack)?;
        self.around.forward(x, Epilogue::Add(&inner))
    }
}
