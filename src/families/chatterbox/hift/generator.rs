//! The generator: mel and source to sound, by way of a spectrum.

use candle_core::{Result, Tensor};

use super::{
    residual::ResidualBlock,
    sizes::{Kernel, Sizes, Stage as StageSizes},
};
use crate::nn::{
    Conv1d, Conv1dConfig, ConvTranspose1d, ConvTranspose1dConfig, Epilogue, MatrixStft, activation,
    weights::{Bias, Loaded, Loader},
};

/// What is left of negative numbers before each stage, and before the last convolution.
const LEAK: f32 = 0.1;
const LAST_LEAK: f32 = 0.01;

/// Magnitudes are at most this.
const LOUDEST: f32 = 100.0;

/// No sample is further from 0.
const LIMIT: f32 = 0.99;

/// The layers from mel to sound, weights only.
#[derive(Debug)]
pub struct Generator {
    pre: Conv1d,
    stages: Vec<Stage>,
    post: Conv1d,
    stft: MatrixStft,
}

#[derive(Debug)]
struct Stage {
    up: ConvTranspose1d,
    source: Conv1d,
    source_block: ResidualBlock,
    blocks: Vec<ResidualBlock>,
}

// === impl Generator ===

impl Generator {
    pub fn load(loader: &mut Loader<'_>, prefix: &str, sizes: &Sizes) -> Loaded<Self> {
        let stages = sizes.stages.iter().enumerate().map(|(at, stage)| Stage::load(loader, prefix, stage, at));
        let stages = stages.collect::<Loaded<_>>()?;
        Ok(Self {
            pre: loader.conv1d(&format!("{prefix}conv_pre"), sizes.pre.config(1), Bias::Present)?,
            stages,
            post: loader.conv1d(&format!("{prefix}conv_post"), sizes.post.config(1), Bias::Present)?,
            stft: MatrixStft::hann(sizes.window(), sizes.hop(), loader.context)?,
        })
    }

    /// `mel`: `[frames, bands]`, `source`: `[samples]`, [`FRAME`](super::FRAME) for each frame → `[samples]`
    pub fn forward(&self, mel: &Tensor, source: &Tensor) -> Result<Tensor> {
        let spectrum = self.stft.forward(source)?;
        let mut x = self.pre.forward(mel, Epilogue::None)?;
        for (at, stage) in self.stages.iter().enumerate() {
            x = stage.forward(&x, &spectrum, at + 1 == self.stages.len())?;
        }
        let x = self.post.forward(&activation::leaky_relu(&x, LAST_LEAK)?, Epilogue::None)?;
        self.stft.inverse(&spectrum_of(&x)?)?.clamp(-LIMIT, LIMIT)
    }
}

/// Logarithms of magnitudes, and what phases are the sines of, side by side → real and imaginary parts side by side.
fn spectrum_of(x: &Tensor) -> Result<Tensor> {
    let bins = x.dim(1)? / 2;
    let magnitudes = x.narrow(1, 0, bins)?.exp()?.minimum(LOUDEST)?;
    let phases = x.narrow(1, bins, bins)?.sin()?;
    Tensor::cat(&[(&magnitudes * phases.cos()?)?, (&magnitudes * phases.sin()?)?], 1)
}

// === impl Stage ===

impl Stage {
    fn load(loader: &mut Loader<'_>, prefix: &str, sizes: &StageSizes, at: usize) -> Loaded<Self> {
        let channels = sizes.up.columns;
        let first = at * sizes.taps.len();
        let blocks = sizes.taps.iter().enumerate().map(|(at, &taps)| {
            ResidualBlock::load(loader, &format!("{prefix}resblocks.{}", first + at), channels, taps)
        });
        let blocks = blocks.collect::<Loaded<_>>()?;
        let source_block = format!("{prefix}source_resblocks.{at}");
        Ok(Self {
            up: loader.conv_transpose1d(&format!("{prefix}ups.{at}"), sizes.up_config(), Bias::Present)?,
            source: loader.conv1d(&format!("{prefix}source_downs.{at}"), sizes.source_config(), Bias::Present)?,
            source_block: ResidualBlock::load(loader, &source_block, channels, sizes.source_taps)?,
            blocks,
        })
    }

    /// `[frames, depth]` and the spectrum of the source → `[frames * rate, channels]`, and one more frame at the last stage.
    fn forward(&self, x: &Tensor, spectrum: &Tensor, last: bool) -> Result<Tensor> {
        let x = self.up.forward(&activation::leaky_relu(x, LEAK)?)?;
        // As many as the spectrum has.
        let x = if last { Tensor::cat(&[&x.narrow(0, 1, 1)?, &x], 0)? } else { x };
        let x = (x + self.source_block.forward(&self.source.forward(spectrum, Epilogue::None)?)?)?;
        let mut sum = self.blocks[0].forward(&x)?;
        for block in &self.blocks[1..] {
            sum = (sum + block.forward(&x)?)?;
        }
        sum / self.blocks.len() as f64
    }
}

// === impl StageSizes ===

impl StageSizes {
    /// As much is cut off at the ends as the kernel is longer than the rate.
    fn up_config(&self) -> ConvTranspose1dConfig {
        let Kernel { depth, columns, taps } = self.up;
        let padding = (taps - self.rate) / 2;
        ConvTranspose1dConfig { depth, columns, taps, stride: self.rate, padding, output_padding: 0 }
    }

    fn source_config(&self) -> Conv1dConfig {
        let Kernel { depth, columns, taps } = self.source;
        let padding = (self.source_rate / 2, self.source_rate / 2);
        Conv1dConfig { depth, columns, taps, stride: self.source_rate, dilation: 1, padding }
    }
}
