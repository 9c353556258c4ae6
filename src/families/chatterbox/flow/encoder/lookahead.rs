//! What lets a token know the next ones before the blocks, also where those are cut.

use candle_core::{Result, Tensor};

use crate::nn::{
    Conv1d, Conv1dConfig, Epilogue,
    activation::leaky_relu,
    weights::{Bias, Loaded, Loader},
};

/// PyTorch's own for a leaky rectifier.
const SLOPE: f32 = 0.01;

/// A convolution that looks ahead, then one that looks back.
#[derive(Debug)]
pub struct Lookahead {
    ahead: Conv1d,
    back: Conv1d,
    tokens: usize,
}

// === impl Lookahead ===

impl Lookahead {
    pub fn load(loader: &mut Loader<'_>, name: &str, width: usize) -> Loaded<Self> {
        let conv = |loader: &mut Loader<'_>, name: &str, padding: fn(usize) -> (usize, usize)| {
            let [_, _, taps] = loader.weights.sizes(&format!("{name}.weight"))?;
            let config = Conv1dConfig { padding: padding(taps - 1), ..Conv1dConfig::same(width, width, taps) };
            Loaded::Ok((loader.conv1d(name, config, Bias::Present)?, taps - 1))
        };
        let (ahead, tokens) = conv(loader, &format!("{name}.conv1"), |others| (0, others))?;
        let (back, _) = conv(loader, &format!("{name}.conv2"), |others| (others, 0))?;
        Ok(Self { ahead, back, tokens })
    }

    /// Tokens that it looks ahead.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Added to `x`: `[tokens, width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ahead = leaky_relu(&self.ahead.forward(x, Epilogue::None)?, SLOPE)?;
        self.back.forward(&ahead, Epilogue::Add(x))
    }
}
