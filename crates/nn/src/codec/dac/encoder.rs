//! Samples to vectors of frames.

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::{
    residual::{ResidualUnits, around, reach, snake},
    sizes::{LayerSizes, Stage},
    windows::Span,
};
use crate::{
    activation::Snake,
    context::ComputeContext,
    conv::{Conv1d, Conv1dConfig},
    linear::Epilogue,
    weights::{Bias, Loaded, Loader},
};

/// The layers of the encoder, weights only.
#[derive(Debug)]
pub struct Encoder {
    first: Conv1d,
    stages: Vec<Down>,
    snake: Snake,
    last: Conv1d,
    hop: usize,
    reach: (usize, usize),
}

#[derive(Debug)]
struct Down {
    sizes: Stage,
    units: ResidualUnits,
    snake: Snake,
    down: Conv1d,
}

// === impl Encoder ===

impl Encoder {
    pub fn load(loader: &mut Loader<'_>, name: &str, sizes: &LayerSizes) -> Loaded<Self> {
        let first = around(loader, &format!("{name}.conv1"), 1, sizes.down[0].depth)?;
        let stages = sizes.down.iter().enumerate();
        let stages = stages.map(|(at, stage)| Down::load(loader, &format!("{name}.block.{at}"), *stage));
        let stages = stages.collect::<Loaded<Vec<_>>>()?;
        let width = sizes.down[sizes.down.len() - 1].columns;
        let snake = snake(loader, &format!("{name}.snake1"), width)?;
        let last = around(loader, &format!("{name}.conv2"), width, sizes.hidden)?;
        let mut span = Span::first(1).widened(reach(&last));
        for Down { sizes, units, .. } in stages.iter().rev() {
            span = span.before_strided(sizes.taps(), sizes.rate, sizes.padding()).widened(units.reach());
        }
        let reach = span.widened(reach(&first)).reach(sizes.hop());
        Ok(Self { first, stages, snake, last, hop: sizes.hop(), reach })
    }

    /// Frames before and after a frame that its vector depends on.
    pub fn reach(&self) -> (usize, usize) {
        self.reach
    }

    /// `[frames, hidden]` of those frames of a sound, which silence follows.
    pub fn forward(&self, context: &ComputeContext, samples: &[f32], frames: &Range<usize>) -> Result<Tensor> {
        let steps = frames.len() * self.hop;
        let from = samples.len().min(frames.start * self.hop);
        let mut heard = Vec::with_capacity(steps);
        heard.extend_from_slice(&samples[from..samples.len().min(frames.end * self.hop)]);
        heard.resize(steps, 0.0);
        self.forward_all(context, heard)
    }

    /// `[frames, hidden]` of samples beyond which there is nothing. A rest that makes no frame of its own is heard with the last.
    pub fn forward_all(&self, context: &ComputeContext, samples: Vec<f32>) -> Result<Tensor> {
        let steps = samples.len();
        let x = padded(&context.tensor(samples, &[steps, 1])?, reach(&self.first))?;
        let x = self.first.forward(&x, Epilogue::None)?;
        let x = self.stages.iter().try_fold(x, |x, stage| stage.forward(&x))?;
        self.last.forward(&padded(&self.snake.forward(&x)?, reach(&self.last))?, Epilogue::None)
    }
}

impl Encoder {
    /// Frames that [`Self::forward_all`] makes of so many samples.
    pub fn frames(&self, samples: usize) -> usize {
        self.stages.iter().try_fold(samples, |steps, stage| stage.down.config().frames(steps)).unwrap_or(0)
    }

    /// Samples of a frame.
    pub fn hop(&self) -> usize {
        self.hop
    }
}

// === impl Down ===

impl Down {
    fn load(loader: &mut Loader<'_>, name: &str, sizes: Stage) -> Loaded<Self> {
        let Stage { rate: stride, depth, columns } = sizes;
        let padding = (sizes.padding(), sizes.padding());
        let down = Conv1dConfig { depth, columns, taps: sizes.taps(), stride, dilation: 1, padding };
        Ok(Self {
            sizes,
            units: ResidualUnits::load(loader, name, depth)?,
            snake: snake(loader, &format!("{name}.snake1"), depth)?,
            down: loader.conv1d(&format!("{name}.conv1"), down, Bias::Present)?,
        })
    }

    /// `[steps * rate, depth]` → `[steps, columns]`
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.units.forward(x)?;
        self.down.forward(&self.snake.forward(&x)?, Epilogue::None)
    }
}

fn padded(x: &Tensor, around: usize) -> Result<Tensor> {
    x.pad_with_zeros(0, around, around)
}
