//! Vectors of frames to samples.

use candle_core::{Result, Tensor};

use super::{
    residual::{ResidualUnits, same, snake},
    sizes::{Sizes, Stage},
    windows::Span,
};
use crate::{
    activation::Snake,
    conv::{Conv1d, ConvTranspose1d, ConvTranspose1dConfig},
    linear::Epilogue,
    weights::{Bias, Loaded, Loader},
};

/// The layers of the decoder, weights only.
#[derive(Debug)]
pub struct Decoder {
    first: Conv1d,
    stages: Vec<Up>,
    snake: Snake,
    last: Conv1d,
    reach: (usize, usize),
}

#[derive(Debug)]
struct Up {
    sizes: Stage,
    snake: Snake,
    up: ConvTranspose1d,
    units: ResidualUnits,
}

// === impl Decoder ===

impl Decoder {
    pub fn load(loader: &mut Loader<'_>, name: &str, sizes: &Sizes) -> Loaded<Self> {
        let first = same(loader, &format!("{name}.conv1"), sizes.hidden, sizes.up[0].depth)?;
        let stages = sizes.up.iter().enumerate();
        let stages = stages.map(|(at, stage)| Up::load(loader, &format!("{name}.block.{at}"), *stage));
        let stages = stages.collect::<Loaded<Vec<_>>>()?;
        let width = sizes.up[sizes.up.len() - 1].columns;
        let snake = snake(loader, &format!("{name}.snake1"), width)?;
        let last = same(loader, &format!("{name}.conv2"), width, 1)?;
        let mut span = Span::first(sizes.hop()).widened(last.config().padding.0);
        for stage in stages.iter().rev() {
            let Stage { rate, .. } = stage.sizes;
            span = span.widened(stage.units.reach());
            span = span.before_transposed(stage.sizes.taps(), rate, stage.sizes.padding());
        }
        let reach = span.widened(first.config().padding.0).reach(1);
        Ok(Self { first, stages, snake, last, reach })
    }

    /// Frames before and after a frame that its samples depend on.
    pub fn reach(&self) -> (usize, usize) {
        self.reach
    }

    /// `[frames, hidden]` → `[samples]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.first.forward(x, Epilogue::None)?;
        let x = self.stages.iter().try_fold(x, |x, stage| stage.forward(&x))?;
        self.last.forward(&self.snake.forward(&x)?, Epilogue::None)?.flatten_all()?.tanh()
    }
}

// === impl Up ===

impl Up {
    fn load(loader: &mut Loader<'_>, name: &str, sizes: Stage) -> Loaded<Self> {
        let Stage { rate: stride, depth, columns } = sizes;
        let (taps, padding) = (sizes.taps(), sizes.padding());
        let up = ConvTranspose1dConfig { depth, columns, taps, stride, padding, output_padding: 0 };
        Ok(Self {
            sizes,
            snake: snake(loader, &format!("{name}.snake1"), depth)?,
            up: loader.conv_transpose1d(&format!("{name}.conv_t1"), up, Bias::Present)?,
            units: ResidualUnits::load(loader, name, columns)?,
        })
    }

    /// `[steps, depth]` → `[steps * rate, columns]`
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.units.forward(self.up.forward(&self.snake.forward(x)?)?)
    }
}
