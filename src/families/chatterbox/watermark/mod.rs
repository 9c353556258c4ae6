//! Perth, the watermark that the reference puts on all of its sound: meant not to be heard, and found by a program.
//!
//! A small network looks at the levels of a spectrum below 2 kHz and says by how much each is to change ([`encoder`]);
//! phases stay, and what is all but digital silence stays as it is. What changes is made sound and added to what was there.
//! After resemble-perth 1.0.1 (`perth_net_implicit`).
//!
//! The reference does it at 32 kHz, and brings the sound there and back. A window of as many seconds over the sound at its own
//! rate has the same bins ([`spectrum`]), so here nothing is resampled: above 2 kHz the sound stays what it was.
//!
//! A sample depends on samples within [`marking::REACH`] on either side, and so a sound is marked while it is made ([`marking`]), as
//! in one go.

mod encoder;
mod marking;
mod spectrum;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::DType;

pub use self::marking::Marking;
use self::{encoder::Encoder, spectrum::PUBLISHED};
use crate::nn::{
    ComputeContext, SimdLevel,
    weights::{Loaded, Loader, WeightError, Weights},
};

/// What answers call it.
pub const NAME: &str = "perth";

/// What writes watermarks.
#[derive(Debug)]
pub struct Watermark {
    encoder: Arc<Encoder>,
}

// === impl Watermark ===

impl Watermark {
    /// All tensors are those of a `PerthNet`, without what the file puts before their names.
    pub fn load(loader: &mut Loader<'_>) -> Loaded<Self> {
        check_frames(loader.weights)?;
        // Levels are in decibels over a range of 195: half of one would be lost in eight bits.
        let kernels = loader.context.kernels.map(SimdLevel::without_tiles);
        let exact = ComputeContext { dtype: DType::F32, kernels, ..loader.context.clone() };
        let encoder = Encoder::load(&mut Loader { weights: &mut *loader.weights, context: &exact }, "encoder")?;
        // It finds what the encoder wrote.
        loader.weights.ignore_all("decoder.");
        Ok(Self { encoder: Arc::new(encoder) })
    }

    /// Begins to mark a sound at 24 kHz, of one channel.
    pub fn begin(&self) -> Marking {
        Marking::new(self.encoder.clone())
    }
}

/// No size of the network tells the frames that it was trained on; what was stored of the transforms does.
fn check_frames(weights: &mut Weights) -> Result<(), WeightError> {
    for transform in ["spectrogram", "inv_spectrogram"] {
        weights.take(&format!("ap.{transform}.window"), &[PUBLISHED.window])?;
    }
    // By how much the phase of each bin turns from frame to frame: that of the last by half a turn a sample.
    let turns = "ap.stretch.phase_advance";
    let last = weights.take(turns, &[PUBLISHED.window / 2 + 1, 1])?.last().copied().unwrap_or_default();
    let hop = (last / std::f32::consts::PI).round();
    if hop != PUBLISHED.hop as f32 {
        let reason = format!("tells of frames every {hop} samples, where {} is expected", PUBLISHED.hop);
        return Err(WeightError::tensor(turns, reason));
    }
    Ok(())
}
