//! The sizes of a codec, as its tensors tell them.

use crate::weights::{Loaded, WeightError, Weights};

/// Samples of a frame, at most: what a frame takes of memory grows with them.
pub const MOST_HOP: usize = 1 << 14;

/// The sizes of a codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub layers: LayerSizes,
    pub books: usize,
    /// Of a book.
    pub codes: usize,
    /// Of what a code stands for.
    pub code_width: usize,
}

/// Those of its encoder and decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSizes {
    /// Of the vector of a frame.
    pub hidden: usize,
    /// The stages of the encoder, from the samples on.
    pub down: Vec<Stage>,
    /// Those of the decoder, to the samples.
    pub up: Vec<Stage>,
}

/// A stage of the encoder makes one step of `rate`, one of the decoder `rate` steps of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub rate: usize,
    /// Channels that come in, and that go out.
    pub depth: usize,
    pub columns: usize,
}

// === impl Sizes ===

impl Sizes {
    pub fn read(weights: &Weights, prefix: &str) -> Loaded<Self> {
        let layers = LayerSizes::read(weights, prefix)?;
        let books = weights.count(|at| format!("{prefix}quantizer.quantizers.{at}.codebook.weight"));
        let [codes, code_width] = weights.sizes(&format!("{prefix}quantizer.quantizers.0.codebook.weight"))?;
        Ok(Self { layers, books, codes, code_width })
    }
}

// === impl LayerSizes ===

impl LayerSizes {
    pub fn read(weights: &Weights, prefix: &str) -> Loaded<Self> {
        let stages = |side: &str, layer: &str| {
            let count = weights.count(|at| format!("{prefix}{side}.block.{at}.{layer}.bias"));
            let name = |at: usize| format!("{prefix}{side}.block.{at}.{layer}");
            if count == 0 {
                return Err(WeightError::tensor(format!("{}.bias", name(0)), "is missing".to_owned()).into());
            }
            (0..count).map(|at| Stage::read(weights, &name(at), side == "decoder")).collect::<Loaded<Vec<_>>>()
        };
        let (down, up) = (stages("encoder", "conv1")?, stages("decoder", "conv_t1")?);
        let [hidden, _, _] = weights.sizes_of_weight(&format!("{prefix}encoder.conv2"))?;
        let sizes = Self { hidden, down, up };
        sizes.check(prefix)?;
        Ok(sizes)
    }

    /// Samples of a frame.
    pub fn hop(&self) -> usize {
        self.up.iter().map(|stage| stage.rate).product()
    }

    /// Numbers of the widest activation for each frame.
    pub fn widest(&self) -> usize {
        widest(self.down.iter().rev().map(|stage| (stage.rate, stage.depth)))
            .max(widest(self.up.iter().map(|stage| (stage.rate, stage.columns))))
    }

    fn check(&self, prefix: &str) -> Loaded<()> {
        let rates = |stages: &[Stage]| stages.iter().map(|stage| stage.rate).collect::<Vec<_>>();
        let hop = |stages: &[Stage]| stages.iter().try_fold(1usize, |hop, stage| hop.checked_mul(stage.rate));
        let (down, up) = (hop(&self.down), hop(&self.up));
        if up.is_none_or(|hop| hop > MOST_HOP) || up != down {
            let reason = format!(
                "is one of kernels that stand for the rates {:?}, where those of the encoder say {:?}; both multiply to the \
                 samples of a frame, {MOST_HOP} at most",
                rates(&self.up),
                rates(&self.down)
            );
            return Err(WeightError::tensor(format!("{prefix}decoder.block.0.conv_t1"), reason).into());
        }
        self.check_widths(prefix, "encoder", "conv1", &self.down)?;
        self.check_widths(prefix, "decoder", "conv_t1", &self.up)
    }

    /// Each stage takes what the one before gives.
    fn check_widths(&self, prefix: &str, side: &str, layer: &str, stages: &[Stage]) -> Loaded<()> {
        for (at, pair) in stages.windows(2).enumerate() {
            if pair[1].depth != pair[0].columns {
                let name = format!("{prefix}{side}.block.{}.{layer}", at + 1);
                let reason = format!("takes a width of {}, where {} comes in", pair[1].depth, pair[0].columns);
                return Err(WeightError::tensor(name, reason).into());
            }
        }
        Ok(())
    }
}

/// Of stages from the frames to the samples: rate and width of each.
pub fn widest(stages: impl Iterator<Item = (usize, usize)>) -> usize {
    let mut steps = 1usize;
    let mut numbers = |(rate, width): (usize, usize)| {
        steps = steps.saturating_mul(rate);
        steps.saturating_mul(width)
    };
    stages.map(&mut numbers).max().unwrap_or(1)
}

// === impl Stage ===

impl Stage {
    /// Half of a kernel's taps are the rate.
    fn read(weights: &Weights, name: &str, transposed: bool) -> Loaded<Self> {
        let [first, second, taps] = weights.sizes_of_weight(name)?;
        let rate = taps / 2;
        if rate < 2 || !taps.is_multiple_of(2) {
            let reason = format!("has {taps} taps, where an even number of at least 4 is expected");
            return Err(WeightError::tensor(name, reason).into());
        }
        let (depth, columns) = if transposed { (first, second) } else { (second, first) };
        Ok(Self { rate, depth, columns })
    }

    pub fn taps(&self) -> usize {
        2 * self.rate
    }

    /// At either end.
    pub fn padding(&self) -> usize {
        self.rate.div_ceil(2)
    }
}
