//! Residual units: convolutions over wider and wider spans, with a periodic activation before each.

use candle_core::{Result, Tensor};

use super::tail::Tail;
use crate::{
    activation::Snake,
    context::ComputeContext,
    conv::{Conv1d, Conv1dConfig},
    linear::{Epilogue, Linear},
    weights::{Bias, Loaded, Loader, WeightError, Weights},
};

/// Between the taps of the units of a stage, one after the other.
const DILATIONS: [usize; 3] = [1, 3, 9];

/// The units of a stage, each `x + mix(snake(wide(snake(x))))`.
#[derive(Debug)]
pub struct ResidualUnits(Vec<Unit>);

#[derive(Debug)]
struct Unit {
    first: Snake,
    wide: Conv1d,
    second: Snake,
    /// Of single steps.
    mix: Conv1d,
}

// === impl ResidualUnits ===

impl ResidualUnits {
    /// `stage`: the name of the stage.
    pub fn load(loader: &mut Loader<'_>, stage: &str, channels: usize) -> Loaded<Self> {
        let units = DILATIONS
            .iter()
            .enumerate()
            .map(|(at, &dilation)| Unit::load(loader, &format!("{stage}.res_unit{}", at + 1), channels, dilation));
        Ok(Self(units.collect::<Loaded<_>>()?))
    }

    /// Steps to either side that a step hears.
    pub fn reach(&self) -> usize {
        self.0.iter().map(Unit::reach).sum()
    }

    /// What they remember of a sequence that begins.
    pub fn begin(&self) -> Vec<Tail> {
        self.0.iter().map(|unit| Tail::around(unit.reach())).collect()
    }

    /// A sequence as a whole: `[steps, channels]` → `[steps, channels]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let forward = |x: Tensor, unit: &Unit| unit.forward(&x.pad_with_zeros(0, unit.reach(), unit.reach())?);
        self.0.iter().try_fold(x.clone(), forward)
    }

    /// The steps that are settled now, `[steps, channels]`. `tails`: of [`Self::begin`].
    pub fn extend(&self, tails: &mut [Tail], x: Option<Tensor>, last: bool) -> Result<Option<Tensor>> {
        self.0
            .iter()
            .zip(tails)
            .try_fold(x, |x, (unit, tail)| tail.follow(x, last)?.map(|all| unit.forward(&all)).transpose())
    }
}

// === impl Unit ===

impl Unit {
    fn load(loader: &mut Loader<'_>, name: &str, channels: usize, dilation: usize) -> Loaded<Self> {
        let taps = odd_taps(loader.weights, &format!("{name}.conv1"))?;
        let wide = Conv1dConfig::same(channels, channels, taps).dilated(dilation);
        Ok(Self {
            first: snake(loader, &format!("{name}.snake1"), channels)?,
            wide: loader.conv1d(&format!("{name}.conv1"), unpadded(wide), Bias::Present)?,
            second: snake(loader, &format!("{name}.snake2"), channels)?,
            mix: loader.conv1d(&format!("{name}.conv2"), Conv1dConfig::same(channels, channels, 1), Bias::Present)?,
        })
    }

    fn reach(&self) -> usize {
        reach(&self.wide)
    }

    /// Steps and those around them, `[around + steps + around, channels]` → `[steps, channels]`. Zeros around are as good as
    /// those that a padded convolution has: the activation leaves them what they are.
    fn forward(&self, all: &Tensor) -> Result<Tensor> {
        let inner = self.wide.forward(&self.first.forward(all)?, Epilogue::None)?;
        let x = all.narrow(0, self.reach(), inner.dim(0)?)?;
        self.mix.forward(&self.second.forward(&inner)?, Epilogue::Add(&x))
    }
}

/// The activation of that name.
pub fn snake(loader: &mut Loader<'_>, name: &str, channels: usize) -> Loaded<Snake> {
    let alpha = loader.weights.take(&format!("{name}.alpha"), &[1, channels, 1])?;
    Ok(Snake::new(alpha, loader.context)?)
}

/// Of the convolution of that name, over single steps: its weight `[columns, depth]`, row by row, and its bias.
pub fn pointwise_numbers(
    weights: &mut Weights,
    name: &str,
    depth: usize,
    columns: usize,
) -> Loaded<(Vec<f32>, Vec<f32>)> {
    let weight = weights.take_weight(name, &[columns, depth, 1])?;
    Ok((weight, weights.take(&format!("{name}.bias"), &[columns])?))
}

pub fn linear(weight: Vec<f32>, bias: Vec<f32>, depth: usize, context: &ComputeContext) -> Result<Linear> {
    Linear::new(&[weight.into()], Some(bias), depth, context)
}

/// The convolution of that name, over the steps to either side, without zeros around what it is given.
pub fn around(loader: &mut Loader<'_>, name: &str, depth: usize, columns: usize) -> Loaded<Conv1d> {
    let taps = odd_taps(loader.weights, name)?;
    loader.conv1d(name, unpadded(Conv1dConfig::same(depth, columns, taps)), Bias::Present)
}

/// Steps to either side that such a convolution hears.
pub fn reach(conv: &Conv1d) -> usize {
    conv.config().dilation * (conv.config().taps / 2)
}

fn unpadded(config: Conv1dConfig) -> Conv1dConfig {
    Conv1dConfig { padding: (0, 0), ..config }
}

fn odd_taps(weights: &Weights, name: &str) -> Loaded<usize> {
    match weights.sizes_of_weight(name)? {
        [_, _, taps] if taps % 2 == 1 => Ok(taps),
        [_, _, taps] => {
            Err(WeightError::tensor(name, format!("has {taps} taps, where an odd number is expected")).into())
        }
    }
}
