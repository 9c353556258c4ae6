//! A residual block over frequency and time.

use candle_core::{Result, Tensor};

use crate::nn::{
    Conv2d, Conv2dConfig, Epilogue, simam_add_relu,
    weights::{Loaded, Loader},
};

/// Places of a patch along frequency and time.
const TAPS: (usize, usize) = (3, 3);
/// Of all batch norms of the network.
pub const EPSILON: f32 = 1e-5;

/// `relu(simam(conv(relu(conv(x)))) + x)`, with a batch norm in each convolution.
pub struct Block {
    conv1: Conv2d,
    conv2: Conv2d,
    /// Where what comes in has other sizes than what goes out.
    shortcut: Option<Conv2d>,
}

// === impl Block ===

impl Block {
    /// What goes out has as many planes as the tensors say.
    pub fn load(loader: &mut Loader<'_>, name: &str, depth: usize, stride: usize) -> Loaded<Self> {
        let [columns, ..] = loader.weights.sizes::<4>(&format!("{name}.conv1.weight"))?;
        let stride = (stride, stride);
        let first = Conv2dConfig { depth, columns, taps: TAPS, stride };
        let second = Conv2dConfig { depth: columns, stride: (1, 1), ..first };
        let shortcut = (depth != columns || stride != (1, 1)).then(|| {
            let (name, norm) = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
            loader.normed_conv2d(&name, &norm, Conv2dConfig { taps: (1, 1), ..first }, EPSILON)
        });
        let shortcut = shortcut.transpose()?;
        let mut conv = |at: usize, config| {
            loader.normed_conv2d(&format!("{name}.conv{at}"), &format!("{name}.bn{at}"), config, EPSILON)
        };
        Ok(Self { conv1: conv(1, first)?, conv2: conv(2, second)?, shortcut })
    }

    /// Planes that go out.
    pub fn planes(&self) -> usize {
        self.conv2.config().columns
    }

    /// `[frequencies, frames, depth]` → `[⌈frequencies / stride⌉, ⌈frames / stride⌉, planes]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.conv2.forward(&self.conv1.forward_relu(x)?, Epilogue::None)?;
        let beside = match &self.shortcut {
            Some(shortcut) => &shortcut.forward(x, Epilogue::None)?,
            None => x,
        };
        simam_add_relu(inner.flatten(0, 1)?, &beside.flatten(0, 1)?)?.reshape(inner.shape())
    }
}
