//! The convolutions over time and frequency: residual blocks, of which some halve the frequencies.

use candle_core::{Result, Tensor};

use super::normed::conv2d;
use crate::{
    Conv2d, Conv2dConfig, Epilogue,
    weights::{Loaded, Loader},
};

/// Places of a patch along frequency and time.
const TAPS: (usize, usize) = (3, 3);
const SAME: (usize, usize) = (1, 1);
/// Halves the frequencies.
const HALVING: (usize, usize) = (2, 1);
/// Of residual blocks; the first block of each halves the frequencies.
const LAYERS: [&str; 2] = ["layer1", "layer2"];

pub struct Head {
    first: Conv2d,
    blocks: Vec<Residual>,
    last: Conv2d,
    /// Numbers of a frame that comes out.
    width: usize,
}

struct Residual {
    conv1: Conv2d,
    conv2: Conv2d,
    /// Where what comes in has other sizes than what goes out.
    shortcut: Option<Conv2d>,
}

// === impl Head ===

impl Head {
    /// `bands`: frequencies that come in.
    pub fn load(loader: &mut Loader<'_>, name: &str, bands: usize) -> Loaded<Self> {
        let [planes, ..] = loader.weights.sizes::<4>(&format!("{name}.conv1.weight"))?;
        let mut blocks = Vec::new();
        for layer in LAYERS {
            let block = |at: usize| format!("{name}.{layer}.{at}");
            let count = (0..).take_while(|&at| loader.weights.has(&format!("{}.conv1.weight", block(at)))).count();
            for at in 0..count {
                let stride = if at == 0 { HALVING } else { SAME };
                blocks.push(Residual::load(loader, &block(at), planes, stride)?);
            }
        }
        let halved = (0..LAYERS.len() + 1).fold(bands, |bands, _| bands.div_ceil(HALVING.0));
        let first = Conv2dConfig { depth: 1, columns: planes, taps: TAPS, stride: SAME };
        let last = Conv2dConfig { depth: planes, stride: HALVING, ..first };
        Ok(Self {
            first: conv2d(loader, &format!("{name}.conv1"), &format!("{name}.bn1"), first)?,
            blocks,
            last: conv2d(loader, &format!("{name}.conv2"), &format!("{name}.bn2"), last)?,
            width: planes * halved,
        })
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// `[frames, bands]` → `[frames, width]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let frames = x.dim(0)?;
        let x = self.first.forward_relu(&x.t()?.unsqueeze(2)?)?;
        let x = self.blocks.iter().try_fold(x, |x, block| block.forward(&x))?;
        let x = self.last.forward_relu(&x)?;
        // Channels stay together, and in each the frequencies.
        x.permute((1, 2, 0))?.contiguous()?.reshape((frames, self.width))
    }
}

// === impl Residual ===

impl Residual {
    fn load(loader: &mut Loader<'_>, name: &str, planes: usize, stride: (usize, usize)) -> Loaded<Self> {
        let inner = Conv2dConfig { depth: planes, columns: planes, taps: TAPS, stride: SAME };
        let mut conv = |part: &str, norm: &str, config| {
            conv2d(loader, &format!("{name}.{part}"), &format!("{name}.{norm}"), config)
        };
        let shortcut = Conv2dConfig { taps: (1, 1), stride, ..inner };
        Ok(Self {
            conv1: conv("conv1", "bn1", Conv2dConfig { stride, ..inner })?,
            conv2: conv("conv2", "bn2", inner)?,
            shortcut: (stride != SAME).then(|| conv("shortcut.0", "shortcut.1", shortcut)).transpose()?,
        })
    }

    /// `[frequencies, frames, planes]`
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.conv1.forward_relu(x)?;
        let beside = match &self.shortcut {
            Some(shortcut) => &shortcut.forward(x, Epilogue::None)?,
            None => x,
        };
        (self.conv2.forward(&inner, Epilogue::None)? + beside)?.relu()
    }
}
