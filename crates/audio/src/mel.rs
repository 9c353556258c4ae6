//! Log-mel spectra as Whisper hears them.
//!
//! The recipe is that of `WhisperFeatureExtractor` (transformers) and `whisper.audio.log_mel_spectrogram` (OpenAI): power
//! of the centred short-time transform with its last frame dropped, triangular filters on Slaney's mel scale with
//! Slaney's normalisation (librosa's default), `log10` of at least 1e-10, at most 8 decades below the loudest value,
//! `(x + 4) / 4`.
//!
//! They differ in what they make of a recording that is longer or shorter than a window. OpenAI's own code (and
//! faster-whisper's) makes one spectrum of all of it, takes the loudest value there, and lets zeros follow its end *in the
//! spectrum*: [`LogMel::log10_within`], [`Spectrum::normalise`], [`Spectrum::followed_by_zeros`]. transformers takes each
//! window by itself, with silence after its end: [`LogMel::log_mel_padded`].
//!
//! [`MelSpectrogram`] is what other models hear through such filters: no logarithm, no range.

pub(crate) mod filters;
mod spec;
mod spectrogram;

use super::stft::{Block, Stft};
pub use filters::slaney_matrix;
use filters::{Filter, slaney};
pub use spec::MelSpec;
pub use spectrogram::MelSpectrogram;

/// Power below this is silence.
const FLOOR: f32 = 1e-10;
/// How far below the loudest value anything may lie, in decades of power.
const RANGE: f32 = 8.0;

/// Makes log-mel spectra. Holds no signal: share it.
pub struct LogMel {
    stft: Stft,
    filters: Vec<Filter>,
}

/// Shape `[bands, frames]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    values: Vec<f32>,
    bands: usize,
    frames: usize,
}

// === impl LogMel ===

impl LogMel {
    pub fn new(spec: &MelSpec) -> Self {
        Self { stft: Stft::new(spec.n_fft, spec.hop), filters: slaney(spec) }
    }

    pub fn bands(&self) -> usize {
        self.filters.len()
    }

    /// Frames that this many samples give: one per whole hop.
    pub fn frames(&self, samples: usize) -> usize {
        samples / self.stft.hop()
    }

    /// The spectrum of a window that is already as long as the model wants it, normalised by its own maximum.
    pub fn log_mel(&self, samples: &[f32]) -> Spectrum {
        let mut spectrum = self.log10(samples);
        spectrum.normalise(spectrum.peak());
        spectrum
    }

    /// [`log_mel`](Self::log_mel) of the samples followed by silence up to `length` samples, or cut there.
    pub fn log_mel_padded(&self, samples: &[f32], length: usize) -> Spectrum {
        let mut window = Vec::with_capacity(length);
        window.extend(&samples[..samples.len().min(length)]);
        window.resize(length, 0.0);
        self.log_mel(&window)
    }

    /// Decimal logarithm of the power in each band, at least -10, not yet normalised: for those who know a maximum
    /// that this window does not hold.
    pub fn log10(&self, samples: &[f32]) -> Spectrum {
        let frames = self.frames(samples.len());
        let mut values = vec![FLOOR.log10(); self.bands() * frames];
        self.stft.power(samples, frames, |block| self.fill(&mut values, frames, &block));
        Spectrum { values, bands: self.bands(), frames }
    }

    /// [`log10`](Self::log10) of `frames` frames of a recording from frame `first` on: what lies around them is heard at
    /// their edges, and silence after the recording's end.
    pub fn log10_within(&self, recording: &[f32], first: usize, frames: usize) -> Spectrum {
        let hop = self.stft.hop();
        // As much as a frame reaches beyond itself.
        let around = self.stft.reach().div_ceil(hop);
        let lead = first.min(around);
        let (start, end) = ((first - lead) * hop, (first + frames + around) * hop);
        let inside = &recording[start.min(recording.len())..end.min(recording.len())];
        let mut sound = Vec::with_capacity(end - start);
        sound.extend_from_slice(inside);
        sound.resize(end - start, 0.0);
        let whole = self.log10(&sound);
        let bands = whole.values.chunks_exact(whole.frames.max(1));
        let values = bands.flat_map(|band| &band[lead..lead + frames]).copied().collect();
        Spectrum { values, bands: whole.bands, frames }
    }

    fn fill(&self, values: &mut [f32], frames: usize, block: &Block<'_>) {
        for (filter, row) in self.filters.iter().zip(values.chunks_exact_mut(frames)) {
            let power = filter.apply(block.power);
            for (value, power) in row[block.first..].iter_mut().zip(&power[..block.frames]) {
                *value = power.max(FLOOR).log10();
            }
        }
    }
}

// === impl Spectrum ===

impl Spectrum {
    pub fn bands(&self) -> usize {
        self.bands
    }

    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Band by band; within a band in order of time.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The largest value, or that of silence when there is none.
    pub fn peak(&self) -> f32 {
        self.values.iter().copied().fold(FLOOR.log10(), f32::max)
    }

    /// The same with more frames, all 0.
    pub fn followed_by_zeros(self, frames: usize) -> Self {
        let more = frames.saturating_sub(self.frames);
        if more == 0 {
            return self;
        }
        let mut values = Vec::with_capacity(self.bands * frames);
        for band in 0..self.bands {
            values.extend_from_slice(&self.values[band * self.frames..(band + 1) * self.frames]);
            values.resize(values.len() + more, 0.0);
        }
        Self { values, frames, ..self }
    }

    /// Applies Whisper's range and scale to the values of [`LogMel::log10`]: at most 8 below `peak`, then `(x + 4) / 4`.
    pub fn normalise(&mut self, peak: f32) {
        let floor = peak - RANGE;
        for value in &mut self.values {
            *value = (value.max(floor) + 4.0) / 4.0;
        }
    }
}

#[cfg(test)]
mod tests;
