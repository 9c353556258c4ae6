//! Residual blocks: convolutions over wider and wider spans, with a periodic activation before each.

use candle_core::{Result, Tensor};

use super::sizes::{DILATIONS, Kernel};
use crate::nn::{
    Conv1d, Epilogue,
    activation::Snake,
    weights::{Bias, Loaded, Loader},
};

/// `x + narrow(snake(wide(snake(x))))`, once for each dilation.
#[derive(Debug)]
pub struct ResidualBlock(Vec<Step>);

#[derive(Debug)]
struct Step {
    wide: Layer,
    narrow: Layer,
}

/// A convolution, and the activation before it.
#[derive(Debug)]
struct Layer {
    snake: Snake,
    convolution: Conv1d,
}

// === impl ResidualBlock ===

impl ResidualBlock {
    pub fn load(loader: &mut Loader<'_>, name: &str, channels: usize, taps: usize) -> Loaded<Self> {
        let kernel = Kernel { depth: channels, columns: channels, taps };
        let step = |loader: &mut Loader<'_>, (at, &dilation): (usize, &usize)| {
            let mut layer = |number: usize, dilation: usize| Layer::load(loader, name, (number, at), kernel, dilation);
            Loaded::Ok(Step { wide: layer(1, dilation)?, narrow: layer(2, 1)? })
        };
        let steps = DILATIONS.iter().enumerate().map(|dilation| step(loader, dilation));
        Ok(Self(steps.collect::<Loaded<_>>()?))
    }

    /// `[frames, channels]` → `[frames, channels]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for step in &self.0 {
            let inner = step.wide.forward(&x, Epilogue::None)?;
            x = step.narrow.forward(&inner, Epilogue::Add(&x))?;
        }
        Ok(x)
    }
}

// === impl Layer ===

impl Layer {
    fn load(
        loader: &mut Loader<'_>,
        block: &str,
        (number, step): (usize, usize),
        kernel: Kernel,
        dilation: usize,
    ) -> Loaded<Self> {
        let alpha = loader.weights.take(&format!("{block}.activations{number}.{step}.alpha"), &[kernel.depth])?;
        let convolution =
            loader.conv1d(&format!("{block}.convs{number}.{step}"), kernel.config(dilation), Bias::Present)?;
        Ok(Self { snake: Snake::new(alpha, loader.context)?, convolution })
    }

    fn forward(&self, x: &Tensor, epilogue: Epilogue<'_>) -> Result<Tensor> {
        self.convolution.forward(&self.snake.forward(x)?, epilogue)
    }
}
