//! Where a sequence enters blocks.

use candle_core::{Result, Tensor};

use crate::nn::{
    EPSILON, Epilogue, LayerNorm, Linear,
    weights::{Loaded, Loader},
};

/// Projects, normalises, and makes large beside the positions, as ESPnet does.
#[derive(Debug)]
pub struct Embed {
    projection: Linear,
    norm: LayerNorm,
    scale: f64,
}

// === impl Embed ===

impl Embed {
    pub fn load(loader: &mut Loader<'_>, name: &str, depth: usize, width: usize) -> Loaded<Self> {
        Ok(Self {
            projection: loader.linear(&format!("{name}.out.0"), depth, width)?,
            norm: loader.layer_norm(&format!("{name}.out.1"), width, EPSILON)?,
            scale: (width as f64).sqrt(),
        })
    }

    /// `[rows, depth]` → `[rows, width]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.projection.forward(x, Epilogue::None)?)?.affine(self.scale, 0.0)
    }
}
