//! The sizes of a vocoder, as its tensors tell them.

use super::rates::FRAME;
use crate::nn::{
    Conv1dConfig,
    weights::{Loaded, WeightError, Weights},
};

/// Between the taps of the convolutions of a residual block, one after the other; each is followed by one of 1.
pub const DILATIONS: [usize; 3] = [1, 3, 5];

/// A spectral frame hears so many hops.
pub const HOPS: usize = 4;

/// The sizes of a vocoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub bands: usize,
    pub pre: Kernel,
    pub stages: Vec<Stage>,
    pub post: Kernel,
}

/// Frames become `rate` times as many, and get what the source has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub rate: usize,
    pub up: Kernel,
    /// From the spectrum of the source to the frames of this stage, `source_rate` to one.
    pub source: Kernel,
    pub source_rate: usize,
    /// Taps of the residual block of the source, and of those whose mean is taken.
    pub source_taps: usize,
    pub taps: Vec<usize>,
}

/// Of a convolution, transposed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    pub depth: usize,
    pub columns: usize,
    pub taps: usize,
}

// === impl Sizes ===

impl Sizes {
    pub fn read(weights: &Weights, prefix: &str) -> Loaded<Self> {
        let pre = Kernel::same(weights, &format!("{prefix}conv_pre"))?;
        let post = Kernel::same(weights, &format!("{prefix}conv_post"))?;
        let ups = weights.count(|at| format!("{prefix}ups.{at}.bias"));
        let blocks = weights.count(|at| format!("{prefix}resblocks.{at}.activations1.0.alpha"));
        if ups == 0 || blocks == 0 || !blocks.is_multiple_of(ups) {
            let reason = format!("is one of {ups} stages, to which {blocks} resblocks cannot be dealt out evenly");
            return Err(WeightError::tensor(format!("{prefix}ups"), reason).into());
        }
        let stage = |at| Stage::read(weights, prefix, at, at * blocks / ups..(at + 1) * blocks / ups);
        let stages = (0..ups).map(stage).collect::<Loaded<Vec<_>>>()?;
        let sizes = Self { bands: pre.depth, pre, stages, post };
        sizes.check(prefix)?;
        Ok(sizes)
    }

    /// Samples of a spectral frame; the spectrum has a real and an imaginary part for each half of it, and of one more.
    pub fn window(&self) -> usize {
        self.post.columns - 2
    }

    pub fn hop(&self) -> usize {
        self.window() / HOPS
    }

    /// Frames of the mel, to either side, that a sample depends on.
    pub fn reach(&self) -> usize {
        let spectra = FRAME / self.hop();
        // Windows that overlap, and the frame by which the last stage is longer.
        let (mut reach, mut of_source) = (HOPS / 2 + self.post.reach() + 1, 0);
        for stage in self.stages.iter().rev() {
            reach += stage.taps.iter().map(|&taps| block_reach(taps)).max().unwrap_or(0);
            let source = (reach + block_reach(stage.source_taps)) * stage.source_rate + stage.source.taps + HOPS / 2;
            of_source = of_source.max(source.div_ceil(spectra));
            reach = (reach + stage.up.taps).div_ceil(stage.rate);
        }
        of_source.max(reach + self.pre.reach())
    }

    fn check(&self, prefix: &str) -> Loaded<()> {
        let window = self.post.columns.saturating_sub(2);
        if window == 0 || !window.is_multiple_of(HOPS) {
            let reason = format!("has {} columns, which no spectrum of {HOPS} hops has", self.post.columns);
            return Err(WeightError::tensor(format!("{prefix}conv_post"), reason).into());
        }
        let samples = self.stages.iter().try_fold(self.hop(), |samples, stage| samples.checked_mul(stage.rate));
        if samples != Some(FRAME) {
            let rates: Vec<_> = self.stages.iter().map(|stage| stage.rate).collect();
            let reason =
                format!("has kernels that stand for the rates {rates:?}, with which a frame has not {FRAME} samples");
            return Err(WeightError::tensor(format!("{prefix}ups"), reason).into());
        }
        self.check_rates(prefix)?;
        self.check_widths(prefix)
    }

    /// The source comes down to each stage by what the later stages go up.
    fn check_rates(&self, prefix: &str) -> Loaded<()> {
        let mut later = 1;
        for (at, stage) in self.stages.iter().enumerate().rev() {
            if stage.source_rate != later {
                let reason = format!("goes down by {}, where the rates of the stages say {later}", stage.source_rate);
                return Err(WeightError::tensor(format!("{prefix}source_downs.{at}"), reason).into());
            }
            later *= stage.rate;
        }
        Ok(())
    }

    /// Each layer takes what the one before gives.
    fn check_widths(&self, prefix: &str) -> Loaded<()> {
        let same = |name: String, found: usize, wanted: usize| match found == wanted {
            true => Ok(()),
            false => {
                let reason = format!("has a width of {found}, where {wanted} is expected");
                Err(WeightError::tensor(format!("{prefix}{name}"), reason).into())
            }
        };
        let mut width = self.pre.columns;
        for (at, stage) in self.stages.iter().enumerate() {
            same(format!("ups.{at}"), stage.up.depth, width)?;
            same(format!("source_downs.{at}"), stage.source.depth, self.post.columns)?;
            same(format!("source_downs.{at}"), stage.source.columns, stage.up.columns)?;
            width = stage.up.columns;
        }
        same("conv_post".to_owned(), self.post.depth, width)
    }
}

// === impl Stage ===

impl Stage {
    fn read(weights: &Weights, prefix: &str, at: usize, blocks: std::ops::Range<usize>) -> Loaded<Self> {
        let (name, source) = (format!("{prefix}ups.{at}"), format!("{prefix}source_downs.{at}"));
        let [depth, columns, taps] = weights.sizes_of_weight(&name)?;
        // A kernel spans two frames, and one tap more where the rate is odd: 16, 11 and 7 for 8, 5 and 3.
        let rate = taps / 2;
        if rate == 0 || !(taps - rate).is_multiple_of(2) {
            return Err(WeightError::tensor(name, format!("has {taps} taps, which stand for no rate")).into());
        }
        let [source_columns, source_depth, source_taps] = weights.sizes_of_weight(&source)?;
        let source_rate = match source_taps {
            1 => 1,
            even if even.is_multiple_of(2) => even / 2,
            odd => {
                return Err(WeightError::tensor(
                    source,
                    format!("has {odd} taps, where 1 or an even number is expected"),
                )
                .into());
            }
        };
        let block = |name: String| Ok(Kernel::same(weights, &format!("{prefix}{name}.convs1.0"))?.taps);
        Ok(Self {
            rate,
            up: Kernel { depth, columns, taps },
            source: Kernel { depth: source_depth, columns: source_columns, taps: source_taps },
            source_rate,
            source_taps: block(format!("source_resblocks.{at}"))?,
            taps: blocks.map(|at| block(format!("resblocks.{at}"))).collect::<Loaded<_>>()?,
        })
    }
}

// === impl Kernel ===

impl Kernel {
    /// One that gives as many frames as it takes.
    pub fn same(weights: &Weights, name: &str) -> Loaded<Self> {
        let [columns, depth, taps] = weights.sizes_of_weight(name)?;
        if taps.is_multiple_of(2) {
            return Err(WeightError::tensor(name, format!("has {taps} taps, where an odd number is expected")).into());
        }
        Ok(Self { depth, columns, taps })
    }

    /// Frames to either side.
    pub fn reach(&self) -> usize {
        self.taps / 2
    }

    /// Of a convolution that gives as many frames as it takes.
    pub fn config(&self, dilation: usize) -> Conv1dConfig {
        Conv1dConfig::same(self.depth, self.columns, self.taps).dilated(dilation)
    }
}

/// Frames to either side that a residual block hears.
fn block_reach(taps: usize) -> usize {
    DILATIONS.iter().map(|dilation| (dilation + 1) * (taps / 2)).sum()
}
