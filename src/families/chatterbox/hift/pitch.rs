//! The pitch of each mel frame.

use candle_core::{Result, Tensor};

use super::sizes::Kernel;
use crate::nn::{
    Conv1d, Epilogue, Linear, activation,
    weights::{Bias, Loaded, Loader},
};

/// Convolutions, and a layer that makes one number of each frame.
#[derive(Debug)]
pub struct PitchPredictor {
    convolutions: Vec<Conv1d>,
    classifier: Linear,
    reach: usize,
}

// === impl PitchPredictor ===

impl PitchPredictor {
    /// For mels of so many bands.
    pub fn load(loader: &mut Loader<'_>, name: &str, bands: usize) -> Loaded<Self> {
        let mut convolutions = Vec::new();
        let (mut width, mut reach) = (bands, 0);
        // Every other layer is an activation.
        for at in 0.. {
            let name = format!("{name}.condnet.{}", 2 * at);
            if at > 0 && !loader.weights.has(&format!("{name}.bias")) {
                break;
            }
            let kernel = Kernel { depth: width, ..Kernel::same(loader.weights, &name)? };
            convolutions.push(loader.conv1d(&name, kernel.config(1), Bias::Present)?);
            (width, reach) = (kernel.columns, reach + kernel.reach());
        }
        let classifier = loader.linear(&format!("{name}.classifier"), width, 1)?;
        Ok(Self { convolutions, classifier, reach })
    }

    /// Frames to either side that it hears.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// `[frames, bands]` → `[frames]`, in Hz.
    pub fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let mut x = mel.clone();
        for convolution in &self.convolutions {
            x = activation::elu(&convolution.forward(&x, Epilogue::None)?)?;
        }
        self.classifier.forward(&x, Epilogue::None)?.squeeze(1)?.abs()
    }
}
