//! The convolutions: a first one, then stages of residual blocks.

use candle_core::{Result, Tensor};

use super::block::{Block, EPSILON};
use crate::nn::{
    Conv2d, Conv2dConfig,
    weights::{Loaded, Loader, WeightError},
};

/// Of the first block of each stage, along frequency and time.
const STRIDES: [usize; 4] = [1, 2, 2, 2];

/// The layers from a spectrum to what is pooled.
pub struct Front {
    first: Conv2d,
    stages: Vec<Vec<Block>>,
}

// === impl Front ===

impl Front {
    pub fn load(loader: &mut Loader<'_>, name: &str) -> Loaded<Self> {
        let conv1 = format!("{name}.conv1");
        let [planes, ..] = loader.weights.sizes::<4>(&format!("{conv1}.weight"))?;
        let config = Conv2dConfig { depth: 1, columns: planes, taps: (3, 3), stride: (1, 1) };
        let first = loader.normed_conv2d(&conv1, &format!("{name}.bn1"), config, EPSILON)?;
        let (mut depth, mut stages) = (planes, Vec::new());
        for (at, &stride) in STRIDES.iter().enumerate() {
            let stage = stage(loader, &format!("{name}.layer{}", at + 1), depth, stride)?;
            depth = stage[stage.len() - 1].planes();
            stages.push(stage);
        }
        Ok(Self { first, stages })
    }

    /// Planes that come out.
    pub fn planes(&self) -> usize {
        self.stages.iter().flatten().last().map_or(0, Block::planes)
    }

    /// Bands of a spectrum that become one frequency.
    pub fn bands_of_frequency() -> usize {
        STRIDES.iter().product()
    }

    /// `[frames, bands]` → `[frequencies, frames, planes]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.before(x)?;
        self.stages.iter().flatten().try_fold(x, |x, block| block.forward(&x))
    }

    fn before(&self, x: &Tensor) -> Result<Tensor> {
        self.first.forward_relu(&x.t()?.unsqueeze(2)?)
    }

    /// What comes out of each stage.
    #[cfg(test)]
    pub fn stages(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let mut made = vec![self.before(x)?];
        for stage in &self.stages {
            made.push(stage.iter().try_fold(made[made.len() - 1].clone(), |x, block| block.forward(&x))?);
        }
        Ok(made.split_off(1))
    }
}

/// At least one block.
fn stage(loader: &mut Loader<'_>, name: &str, depth: usize, stride: usize) -> Loaded<Vec<Block>> {
    let count = loader.weights.count(|at| format!("{name}.{at}.conv1.weight"));
    if count == 0 {
        return Err(WeightError::tensor(format!("{name}.0.conv1.weight"), "is missing".to_owned()).into());
    }
    let (mut depth, mut blocks) = (depth, Vec::with_capacity(count));
    for at in 0..count {
        let stride = if at == 0 { stride } else { 1 };
        let block = Block::load(loader, &format!("{name}.{at}"), depth, stride)?;
        depth = block.planes();
        blocks.push(block);
    }
    Ok(blocks)
}
