//! The network that writes: levels below 2 kHz, frame by frame, to how much each of them is to change.

use candle_core::Result;

use super::spectrum::HALF;
use crate::nn::{
    ComputeContext, Conv1d, Conv1dConfig, Epilogue, activation,
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Frames that each layer looks at.
const TAPS: [usize; 7] = [1, 7, 7, 7, 7, 7, 1];
/// Frames to either side that a frame depends on.
pub const REACH: usize = 15;
/// Between layers.
const SLOPE: f32 = 0.01;

/// The weights of the network.
#[derive(Debug)]
pub struct Encoder {
    layers: Vec<Conv1d>,
    bins: usize,
    context: ComputeContext,
}

// === impl Encoder ===

impl Encoder {
    /// `name`: what the names of its tensors begin with. Widths are read from the first of them.
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        let first = format!("{name}.layers.0.conv.weight");
        let [hidden, bins, _] = loader.weights.sizes(&first)?;
        if bins > HALF {
            return Err(WeightError::tensor(first, format!("is of {bins} bins, where there are {HALF}")).into());
        }
        let layer = |(at, taps): (usize, &usize)| {
            let depth = if at == 0 { bins } else { hidden };
            let columns = if at + 1 == TAPS.len() { bins } else { hidden };
            let config = Conv1dConfig::same(depth, columns, *taps);
            loader.conv1d(&format!("{name}.layers.{at}.conv"), config, Bias::Present)
        };
        let layers = TAPS.iter().enumerate().map(layer).collect::<Loaded<_>>()?;
        Ok(Self { layers, bins, context: loader.context.clone() })
    }

    /// Bins that it changes, from the lowest on: 128 with the published sizes.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// `[frames, bins]` of levels → as many changes of them.
    pub fn forward(&self, levels: Vec<f32>) -> Result<Vec<f32>> {
        let frames = levels.len() / self.bins;
        let mut x = self.context.tensor(levels, &[frames, self.bins])?;
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, Epilogue::None)?;
            if at + 1 < self.layers.len() {
                x = activation::leaky_relu(&x, SLOPE)?;
            }
        }
        x.flatten_all()?.to_vec1()
    }
}
