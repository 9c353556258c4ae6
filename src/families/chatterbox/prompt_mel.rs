//! The spectrum of a recording that S3Gen continues: 80 bands at 24 kHz, 50 frames a second, natural logarithm.

use crate::audio::{MelSpec, MelSpectrogram};

/// Samples per second of what S3Gen speaks, and of the recording that it continues.
pub const RATE: u32 = 24_000;
/// Bands of the spectrum.
pub const BANDS: usize = 80;
/// The transform of CosyVoice's vocoder.
const SPEC: MelSpec = MelSpec { rate: RATE, n_fft: 1920, hop: 480, bands: BANDS, fmin: 0.0, fmax: 8_000.0 };
/// Added to the power before its root.
const POWER_FLOOR: f32 = 1e-9;
/// The least that is put into the logarithm.
const FLOOR: f32 = 1e-5;

/// Makes such spectra. Holds no signal: share it.
pub struct PromptMel(MelSpectrogram);

// === impl PromptMel ===

impl Default for PromptMel {
    fn default() -> Self {
        Self(MelSpectrogram::of_magnitude(&SPEC, POWER_FLOOR))
    }
}

impl PromptMel {
    /// `samples` at [`RATE`] → `[frames, BANDS]`, row by row: a frame for each whole 20 ms.
    pub fn compute(&self, samples: &[f32]) -> Vec<f32> {
        let mut mel = self.0.compute(samples);
        mel.iter_mut().for_each(|value| *value = value.max(FLOOR).ln());
        mel
    }
}
