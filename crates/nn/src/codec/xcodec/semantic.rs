//! What is said, for the quantizer: convolutions over the vectors of HuBERT.

use candle_core::{Result, Tensor};

use super::XCodecConfig;
use crate::{
    activation::elu,
    conv::{Conv1d, Conv1dConfig},
    linear::Epilogue,
    weights::{Bias, Loaded, Loader},
};

#[derive(Debug)]
pub struct SemanticEncoder {
    first: Conv1d,
    blocks: Vec<Block>,
    columns: usize,
}

#[derive(Debug)]
struct Block {
    units: Vec<Unit>,
    last: Conv1d,
}

/// `x + mix(elu(wide(elu(x))))`
#[derive(Debug)]
struct Unit {
    wide: Conv1d,
    /// Of single steps.
    mix: Conv1d,
}

// === impl SemanticEncoder ===

impl SemanticEncoder {
    /// `width`: of HuBERT's vectors.
    pub fn load(loader: &mut Loader<'_>, width: usize, config: &XCodecConfig) -> Loaded<Self> {
        let name = "encoder_semantic";
        let of_block = |at: usize| format!("{name}.conv_blocks.{at}");
        let count = loader.weights.count(|at| format!("{}.conv.weight", of_block(at)));
        let [_, _, taps] = loader.weights.sizes(&format!("{name}.conv.weight"))?;
        let around = Conv1dConfig { padding: (taps / 2, taps / 2), ..Conv1dConfig::same(width, width, taps) };
        let first = loader.conv1d(&format!("{name}.conv"), around, Bias::Absent)?;
        let (mut blocks, mut columns) = (Vec::with_capacity(count), width);
        for at in 0..count {
            let block = Block::load(loader, &of_block(at), columns, config)?;
            columns = block.last.config().columns;
            blocks.push(block);
        }
        Ok(Self { first, blocks, columns })
    }

    /// Numbers of what is made of a frame.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `[frames, width]` → `[frames, columns]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.first.forward(x, Epilogue::None)?;
        self.blocks.iter().try_fold(x, |x, block| {
            let x = block.units.iter().try_fold(x, |x, unit| unit.forward(&x))?;
            block.last.forward(&x, Epilogue::None)
        })
    }
}

// === impl Block ===

impl Block {
    fn load(loader: &mut Loader<'_>, name: &str, depth: usize, config: &XCodecConfig) -> Loaded<Self> {
        let of_unit = |at: usize| format!("{name}.res_units.{at}");
        let units = config.block_dilations.iter().enumerate();
        let units = units.map(|(at, &dilation)| Unit::load(loader, &of_unit(at), depth, dilation));
        let units = units.collect::<Loaded<_>>()?;
        let [columns, _, taps] = loader.weights.sizes(&format!("{name}.conv.weight"))?;
        // A kernel of three goes on step by step; of others half is the stride.
        let stride = if taps == 3 { 1 } else { (taps / 2).max(1) };
        let around = taps.saturating_sub(1) / 2;
        let last = Conv1dConfig { depth, columns, taps, stride, dilation: 1, padding: (around, around) };
        Ok(Self { units, last: loader.conv1d(&format!("{name}.conv"), last, Bias::Present)? })
    }
}

// === impl Unit ===

impl Unit {
    fn load(loader: &mut Loader<'_>, name: &str, depth: usize, dilation: usize) -> Loaded<Self> {
        let [_, _, taps] = loader.weights.sizes(&format!("{name}.conv1.weight"))?;
        let around = taps.saturating_sub(1) / 2;
        let wide =
            Conv1dConfig { padding: (around, around), ..Conv1dConfig::same(depth, depth, taps) }.dilated(dilation);
        let mix = Conv1dConfig::same(depth, depth, 1);
        Ok(Self {
            wide: loader.conv1d(&format!("{name}.conv1"), wide, Bias::Absent)?,
            mix: loader.conv1d(&format!("{name}.conv2"), mix, Bias::Absent)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.wide.forward(&elu(x)?, Epilogue::None)?;
        self.mix.forward(&elu(&inner)?, Epilogue::Add(x))
    }
}
