//! From tokens to frames.

use candle_core::{Result, Tensor};

use crate::nn::{
    Conv1d, Conv1dConfig, Epilogue,
    weights::{Bias, Loaded, Loader, WeightError},
};

/// Repeats each row, then a convolution that looks back twice as far as a row is repeated.
#[derive(Debug)]
pub struct Upsample {
    conv: Conv1d,
    factor: usize,
}

// === impl Upsample ===

impl Upsample {
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<Self> {
        let conv = format!("{name}.conv");
        let [_, _, taps] = loader.weights.sizes(&format!("{conv}.weight"))?;
        let factor = taps / 2;
        if factor == 0 || taps.is_multiple_of(2) {
            let reason = format!("has {taps} taps, where one and twice the factor are expected");
            return Err(WeightError::tensor(format!("{conv}.weight"), reason).into());
        }
        let config = Conv1dConfig::causal(width, width, taps);
        Ok(Self { conv: loader.conv1d(&conv, config, Bias::Present)?, factor })
    }

    /// Rows that come of one.
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// `[rows, width]` → `[factor * rows, width]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let repeated = x.unsqueeze(1)?.broadcast_as((rows, self.factor, width))?.contiguous()?.flatten_to(1)?;
        self.conv.forward(&repeated, Epilogue::None)
    }
}
