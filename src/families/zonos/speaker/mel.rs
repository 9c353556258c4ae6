//! The spectrum that is listened to.

use candle_core::Result;

use crate::audio::{MelSpec, MelSpectrogram};

/// Samples per second of what is listened to.
pub const RATE: u32 = 16_000;
/// Of a recording, at most: with the published network a minute takes 123 MB in each of some activations, and each second 57
/// billion multiplications.
pub const MOST_SECONDS: usize = 60;
/// Samples from a frame to the next.
pub const HOP: usize = 160;
/// Of the published network.
pub const BANDS: usize = 80;

/// Samples of a frame, and of those the ones that are heard.
const FRAME: usize = 512;
const WINDOW: usize = 400;
/// Beside the power, so that silence has a logarithm.
const FLOOR: f32 = 1e-6;

/// Makes the spectrum.
pub struct LogMel(MelSpectrogram);

// === impl LogMel ===

impl LogMel {
    pub fn new(bands: usize) -> Self {
        let fmax = f64::from(RATE) / 2.0;
        let spec = MelSpec { rate: RATE, n_fft: FRAME, hop: HOP, bands, fmin: 0.0, fmax };
        Self(MelSpectrogram::of_power_htk(&spec, WINDOW))
    }

    pub fn bands(&self) -> usize {
        self.0.bands()
    }

    /// `[frames, bands]`, each band without its mean, and how many frames there are.
    pub fn compute(&self, samples: &[f32]) -> Result<(Vec<f32>, usize)> {
        // The mirror image at the ends is half a frame of what there is.
        if samples.len() <= FRAME / 2 {
            candle_core::bail!("{} samples are too few to know their speaker by", samples.len());
        }
        if samples.len() > MOST_SECONDS * RATE as usize {
            let seconds = samples.len().div_ceil(RATE as usize);
            candle_core::bail!("{seconds} s are too long to know their speaker by: {MOST_SECONDS} s are enough");
        }
        let bands = self.bands();
        let mut values = self.0.compute(samples);
        values.iter_mut().for_each(|value| *value = (*value + FLOOR).ln());
        let frames = values.len() / bands;
        let mut means = vec![0.0f64; bands];
        for frame in values.chunks_exact(bands) {
            means.iter_mut().zip(frame).for_each(|(mean, value)| *mean += f64::from(*value) / frames as f64);
        }
        for frame in values.chunks_exact_mut(bands) {
            frame.iter_mut().zip(&means).for_each(|(value, mean)| *value -= *mean as f32);
        }
        Ok((values, frames))
    }
}
