//! Vectors of frames to samples.

use candle_core::{Result, Tensor};

use super::{
    residual::{ResidualUnits, around, reach, snake},
    sizes::{LayerSizes, Stage},
    tail::Tail,
    windows::Span,
};
use crate::{
    activation::Snake,
    conv::{Conv1d, ConvTranspose1d, ConvTranspose1dConfig},
    linear::Epilogue,
    weights::{Bias, Loaded, Loader},
};

/// What follows the layers where a codec is like DAC, and yet another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecoderKind {
    /// Stages of an odd rate lose steps at the end; samples are within -1 and 1.
    Dac,
    /// Every stage makes as many steps of one as its rate says; samples are as they come.
    XCodec,
}

/// The layers of the decoder, weights only.
#[derive(Debug)]
pub struct Decoder {
    kind: DecoderKind,
    first: Conv1d,
    stages: Vec<Up>,
    snake: Snake,
    last: Conv1d,
    reach: (usize, usize),
}

#[derive(Debug)]
struct Up {
    sizes: Stage,
    /// Steps that are left out at the end.
    cut: usize,
    snake: Snake,
    up: ConvTranspose1d,
    units: ResidualUnits,
}

/// What the layers remember of a sound so far.
#[derive(Clone, Debug)]
pub struct DecoderState {
    first: Tail,
    stages: Vec<UpState>,
    last: Tail,
}

#[derive(Clone, Debug)]
struct UpState {
    up: Tail,
    /// Steps that are still to be left out at the beginning.
    skip: usize,
    units: Vec<Tail>,
}

// === impl Decoder ===

impl Decoder {
    pub fn load(loader: &mut Loader<'_>, name: &str, sizes: &LayerSizes, kind: DecoderKind) -> Loaded<Self> {
        let first = around(loader, &format!("{name}.conv1"), sizes.hidden, sizes.up[0].depth)?;
        let stages = sizes.up.iter().enumerate();
        let stages = stages.map(|(at, stage)| Up::load(loader, &format!("{name}.block.{at}"), *stage, kind));
        let stages = stages.collect::<Loaded<Vec<_>>>()?;
        let width = sizes.up[sizes.up.len() - 1].columns;
        let snake = snake(loader, &format!("{name}.snake1"), width)?;
        let last = around(loader, &format!("{name}.conv2"), width, 1)?;
        let mut span = Span::first(sizes.hop()).widened(reach(&last));
        for Up { sizes, units, .. } in stages.iter().rev() {
            span = span.widened(units.reach()).before_transposed(sizes.taps(), sizes.rate, sizes.padding());
        }
        let reach = span.widened(reach(&first)).reach(1);
        Ok(Self { kind, first, stages, snake, last, reach })
    }

    /// Frames before and after a frame that its samples depend on.
    pub fn reach(&self) -> (usize, usize) {
        self.reach
    }

    /// Of a sound that begins.
    pub fn begin(&self) -> DecoderState {
        let tail = |conv: &Conv1d| Tail::around(reach(conv));
        let stages = self.stages.iter().map(|stage| UpState {
            // A step is spread over its own and the next.
            up: Tail::new((1, 1), 1),
            skip: stage.sizes.padding(),
            units: stage.units.begin(),
        });
        DecoderState { first: tail(&self.first), stages: stages.collect(), last: tail(&self.last) }
    }

    /// The samples that are settled once these frames are there, `[frames, hidden]` → `[samples]`; `None`: none yet.
    pub fn extend(&self, state: &mut DecoderState, x: Option<Tensor>, last: bool) -> Result<Option<Tensor>> {
        let x = state.first.follow(x, last)?;
        let x = x.map(|x| self.first.forward(&x, Epilogue::None)).transpose()?;
        let stages = self.stages.iter().zip(&mut state.stages);
        let x = stages.into_iter().try_fold(x, |x, (stage, state)| stage.extend(state, x, last))?;
        let Some(x) = state.last.follow(x, last)? else { return Ok(None) };
        let x = self.last.forward(&self.snake.forward(&x)?, Epilogue::None)?;
        let samples = x.flatten_all()?;
        match self.kind {
            DecoderKind::Dac => samples.tanh().map(Some),
            DecoderKind::XCodec => Ok(Some(samples)),
        }
    }
}

// === impl Up ===

impl Up {
    fn load(loader: &mut Loader<'_>, name: &str, sizes: Stage, kind: DecoderKind) -> Loaded<Self> {
        let Stage { rate: stride, depth, columns } = sizes;
        let (taps, padding) = (sizes.taps(), sizes.padding());
        let up = ConvTranspose1dConfig { depth, columns, taps, stride, padding, output_padding: 0 };
        let kept = if kind == DecoderKind::XCodec { stride % 2 } else { 0 };
        Ok(Self {
            sizes,
            cut: padding - kept,
            snake: snake(loader, &format!("{name}.snake1"), depth)?,
            up: loader.conv_transpose1d(&format!("{name}.conv_t1"), up, Bias::Present)?,
            units: ResidualUnits::load(loader, name, columns)?,
        })
    }

    /// `[steps, depth]` → `[steps * rate, columns]`, as far as they are settled.
    fn extend(&self, state: &mut UpState, x: Option<Tensor>, last: bool) -> Result<Option<Tensor>> {
        let made = match state.up.follow(x, last)? {
            None => None,
            Some(all) => {
                let made = self.up.extend(&self.snake.forward(&all)?)?;
                let skip = std::mem::take(&mut state.skip);
                let cut = if last { self.cut } else { 0 };
                Some(made.narrow(0, skip, made.dim(0)? - skip - cut)?)
            }
        };
        self.units.extend(&mut state.units, made, last)
    }
}
