//! How the speaker of a recording sounds: a ResNet of 293 layers with SimAM, trained to tell speakers apart (VoxBlink2, Lin
//! and others, arXiv 2407.11510), and a linear discriminant analysis of what it says.
//!
//! Residual blocks over frequency and time, then mean and deviation over time, weighed by attention. Whoever listens hears the
//! whole recording at once: each block weighs its numbers against all of its channel.

mod block;
mod files;
mod front;
mod mel;
mod pooling;
#[cfg(test)]
mod tests;

use candle_core::{DType, Result};

use self::{front::Front, mel::LogMel, pooling::Pooling};
use crate::nn::{
    ComputeContext, Epilogue, Linear,
    weights::{Loaded, Loader},
};

pub use self::{
    files::SpeakerFiles,
    mel::{MOST_SECONDS, RATE},
};

/// The weights of the encoder.
pub struct SpeakerEncoder {
    mel: LogMel,
    front: Front,
    pooling: Pooling,
    bottleneck: Linear,
    lda: Linear,
    context: ComputeContext,
}

// === impl SpeakerEncoder ===

impl SpeakerEncoder {
    /// Of the tensors of both files. Sizes are read from them: how many blocks a stage has, all widths, and the bands of the
    /// spectrum.
    pub fn load(network: &mut Loader<'_>, lda: &mut Loader<'_>) -> Loaded<Self> {
        let front = Front::load(network, "front")?;
        let pooling = Pooling::load(network, "pooling", &front)?;
        let [width, _] = network.weights.sizes("bottleneck.weight")?;
        let [columns, _] = lda.weights.sizes("weight")?;
        let (weight, bias) = (lda.weights.view("weight", &[columns, width])?, lda.weights.take("bias", &[columns])?);
        Ok(Self {
            mel: LogMel::new(pooling.bands()),
            bottleneck: network.linear("bottleneck", pooling.width(), width)?,
            front,
            pooling,
            lda: Linear::new(&[weight], Some(bias), width, lda.context)?,
            context: network.context.clone(),
        })
    }

    /// Numbers that describe a speaker: 128 with the published sizes.
    pub fn width(&self) -> usize {
        self.lda.columns()
    }

    /// The speaker of a recording at [`RATE`], mono; not of length 1.
    ///
    /// # Errors
    /// Where it is too short for a frame of its spectrum, or longer than [`MOST_SECONDS`].
    pub fn embed(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let (mel, frames) = self.mel.compute(samples)?;
        let x = self.context.tensor(mel, &[frames, self.mel.bands()])?;
        let x = self.front.forward(&x)?;
        let pooled = self.pooling.forward(&x)?.to_dtype(self.context.activations())?;
        let speaker = self.bottleneck.forward(&pooled, Epilogue::None)?;
        self.lda.forward(&speaker, Epilogue::None)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }
}

/// Bytes that so many seconds take beside the weights, where the first stage has so many `planes`: what a block is given,
/// makes and adds, each once.
pub fn working_bytes(seconds: u64, planes: u64) -> u64 {
    const LIVE: u64 = 5;
    let frames = seconds.saturating_mul(u64::from(RATE)) / mel::HOP as u64;
    frames.saturating_mul(mel::BANDS as u64).saturating_mul(planes).saturating_mul(LIVE * size_of::<f32>() as u64)
}
