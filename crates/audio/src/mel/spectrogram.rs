//! Mel spectra of power or magnitude, frame by frame.

use super::{
    filters::{Filter, htk, slaney},
    spec::MelSpec,
};
use crate::stft::{Block, LANES, Stft};

/// Makes mel spectra without a logarithm. Holds no signal: share it.
pub struct MelSpectrogram {
    stft: Stft,
    filters: Vec<Filter>,
    of: Of,
}

/// What the filters are laid over.
enum Of {
    Power,
    /// `√(power + floor)`
    Magnitude {
        floor: f32,
    },
}

// === impl MelSpectrogram ===

impl MelSpectrogram {
    /// Of the power of centred frames, as `librosa.feature.melspectrogram` makes them.
    pub fn of_power(spec: &MelSpec) -> Self {
        Self { stft: Stft::new(spec.n_fft, spec.hop), filters: slaney(spec), of: Of::Power }
    }

    /// Of `√(power + floor)`, as vocoders are trained on (HiFi-GAN): half of what a window is longer than a hop lies before
    /// the first sample, so that there are as many frames as whole hops.
    pub fn of_magnitude(spec: &MelSpec, floor: f32) -> Self {
        let stft = Stft::new(spec.n_fft, spec.hop).with_lead(spec.n_fft.saturating_sub(spec.hop) / 2);
        Self { stft, filters: slaney(spec), of: Of::Magnitude { floor } }
    }

    /// Of the power of centred frames on HTK's scale, of each of which `window` samples are heard, as
    /// `torchaudio.transforms.MelSpectrogram` makes them where nothing else is asked for.
    pub fn of_power_htk(spec: &MelSpec, window: usize) -> Self {
        Self { stft: Stft::new(spec.n_fft, spec.hop).with_window(window), filters: htk(spec), of: Of::Power }
    }

    pub fn bands(&self) -> usize {
        self.filters.len()
    }

    /// `[frames, bands]`, row by row.
    pub fn compute(&self, samples: &[f32]) -> Vec<f32> {
        let frames = self.stft.frames(samples.len());
        let mut values = vec![0.0; frames * self.bands()];
        let mut spectrum = vec![[0.0; LANES]; self.stft.bins()];
        self.stft.power(samples, frames, |block| self.fill(&mut values, &mut spectrum, &block));
        values
    }

    fn fill(&self, values: &mut [f32], spectrum: &mut [[f32; LANES]], block: &Block<'_>) {
        let bands = self.bands();
        self.of.measure(block.power, spectrum);
        let rows = &mut values[block.first * bands..][..block.frames * bands];
        for (band, filter) in self.filters.iter().enumerate() {
            for (row, value) in rows.chunks_exact_mut(bands).zip(filter.apply(spectrum)) {
                row[band] = value;
            }
        }
    }
}

// === impl Of ===

impl Of {
    fn measure(&self, power: &[[f32; LANES]], out: &mut [[f32; LANES]]) {
        match self {
            Self::Power => out.copy_from_slice(power),
            Self::Magnitude { floor } => {
                for (out, power) in out.iter_mut().zip(power) {
                    *out = power.map(|power| (power + floor).sqrt());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tone;

    const SPEC: MelSpec = MelSpec { rate: 16_000, n_fft: 400, hop: 160, bands: 40, fmin: 0.0, fmax: 8_000.0 };

    /// The band that a spectrum has most of, in each frame.
    fn loudest(spectrum: &[f32]) -> Vec<usize> {
        let band = |frame: &[f32]| (0..frame.len()).max_by(|&a, &b| frame[a].total_cmp(&frame[b])).unwrap();
        spectrum.chunks_exact(SPEC.bands).map(band).collect()
    }

    #[test]
    fn a_tone_is_heard_in_its_band() {
        // Bands are 41 equal steps of Slaney's mel, 45.245 at 8 kHz: the ninth is centred on 662 Hz.
        let sound = tone(662.0, 0.5, SPEC.rate, 0.1);
        let power = MelSpectrogram::of_power(&SPEC).compute(&sound);
        let magnitude = MelSpectrogram::of_magnitude(&SPEC, 1e-9).compute(&sound);
        // At the first sample the mirror turns the phase.
        assert_eq!(loudest(&power)[1..], [8; 10]);
        assert_eq!(loudest(&magnitude), [8; 10]);
    }

    #[test]
    fn silence_is_the_floor_and_no_sound_is_no_frame() {
        let of_magnitude = MelSpectrogram::of_magnitude(&SPEC, 1e-9);
        let weights = slaney_sum();
        for frame in of_magnitude.compute(&[0.0; 480]).chunks_exact(SPEC.bands) {
            for (value, weight) in frame.iter().zip(&weights) {
                assert!((value - weight * 1e-9f32.sqrt()).abs() < 1e-9);
            }
        }
        assert!(MelSpectrogram::of_power(&SPEC).compute(&[0.0; 480]).iter().all(|&value| value == 0.0));
        assert!(MelSpectrogram::of_power(&SPEC).compute(&[]).is_empty());
        assert!(of_magnitude.compute(&[0.5; 159]).is_empty());
    }

    fn slaney_sum() -> Vec<f32> {
        slaney(&SPEC).iter().map(|filter| filter.weights.iter().sum()).collect()
    }
}
