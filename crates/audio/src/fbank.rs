//! Logarithmic filter banks as Kaldi computes them (`compute-fbank-feats`, `torchaudio.compliance.kaldi.fbank`).
//!
//! Frames of 25 ms every 10 ms that lie wholly inside the recording, or, in an [`FbankStream`](super::FbankStream), around
//! every 10 ms of it. Of each the mean is taken away, it is pre-emphasised, weighed with Povey's window and followed by
//! zeros up to a power of two. The power goes through triangles on the mel scale `1127 ln(1 + f / 700)`, from 20 Hz to half
//! of the sample rate or less, and into the natural logarithm. No dither, no energy.

use std::{f64::consts::TAU, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

use crate::mel::filters::Filter;

/// Seconds.
const WINDOW: f64 = 0.025;
const HOP: f64 = 0.010;
/// Of the sample before.
const PRE_EMPHASIS: f32 = 0.97;
/// Povey's window is Hann's to this power.
const POVEY: f64 = 0.85;
/// Hertz.
const LOWEST: f64 = 20.0;

/// Makes Kaldi's filter banks. Holds no signal: share it.
pub struct Fbank {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    hop: usize,
    filters: Vec<Filter>,
}

// === impl Fbank ===

impl Fbank {
    /// `rate`: samples per second, at least 1000.
    pub fn new(rate: u32, bands: usize) -> Self {
        Self::below(rate, bands, f64::from(rate) / 2.0)
    }

    /// Whose highest band ends at so many hertz, at most half of the rate.
    pub fn below(rate: u32, bands: usize, highest: f64) -> Self {
        let samples = |seconds: f64| ((f64::from(rate) * seconds) as usize).max(1);
        let window = povey(samples(WINDOW));
        let fft = RealFftPlanner::new().plan_fft_forward(window.len().next_power_of_two());
        let filters = filters(rate, fft.len(), bands, highest);
        Self { fft, window, hop: samples(HOP), filters }
    }

    pub fn bands(&self) -> usize {
        self.filters.len()
    }

    /// Samples of a frame, and how far the next one begins after it.
    pub(crate) fn window_and_hop(&self) -> (usize, usize) {
        (self.window.len(), self.hop)
    }

    /// Frames that this many samples give.
    pub fn frames(&self, samples: usize) -> usize {
        samples.checked_sub(self.window.len()).map_or(0, |room| 1 + room / self.hop)
    }

    /// `[frames, bands]`, row by row; of samples between -1 and 1, where Kaldi's own tools take 16-bit integers.
    pub fn compute(&self, samples: &[f32]) -> Vec<f32> {
        let (mut frame, mut spectrum) = (self.fft.make_input_vec(), self.fft.make_output_vec());
        let mut scratch = self.fft.make_scratch_vec();
        let mut values = Vec::with_capacity(self.frames(samples.len()) * self.bands());
        for samples in samples.windows(self.window.len()).step_by(self.hop) {
            self.prepare(samples, &mut frame);
            self.fft
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .expect("the buffers were made by this transform");
            values.extend(self.filters.iter().map(|filter| log_energy(filter, &spectrum)));
        }
        values
    }

    /// The same, each band without its mean over time.
    pub fn compute_centred(&self, samples: &[f32]) -> Vec<f32> {
        let (mut values, bands) = (self.compute(samples), self.bands());
        let frames = (values.len() / bands).max(1);
        for band in 0..bands {
            let sum = values.iter().skip(band).step_by(bands).copied().map(f64::from).sum::<f64>();
            let mean = (sum / frames as f64) as f32;
            values.iter_mut().skip(band).step_by(bands).for_each(|value| *value -= mean);
        }
        values
    }

    /// One frame of the recording as it goes into the transform.
    fn prepare(&self, samples: &[f32], frame: &mut [f32]) {
        let sum = samples.iter().copied().map(f64::from).sum::<f64>();
        let mean = (sum / samples.len() as f64) as f32;
        // The first sample stands for the one before it.
        let mut before = samples[0] - mean;
        for ((out, sample), weight) in frame.iter_mut().zip(samples).zip(&self.window) {
            let centred = sample - mean;
            *out = (centred - PRE_EMPHASIS * before) * weight;
            before = centred;
        }
        frame[samples.len()..].fill(0.0);
    }
}

/// At least the smallest step of `f32` above 1, as there.
fn log_energy(filter: &Filter, spectrum: &[Complex<f32>]) -> f32 {
    let powers = spectrum[filter.first..].iter().map(|bin| bin.norm_sqr());
    let energy = filter.weights.iter().zip(powers).map(|(weight, power)| weight * power).sum::<f32>();
    energy.max(f32::EPSILON).ln()
}

/// Zero at both ends.
fn povey(length: usize) -> Vec<f32> {
    let step = TAU / (length - 1).max(1) as f64;
    (0..length).map(|n| (0.5 - 0.5 * (step * n as f64).cos()).max(0.0).powf(POVEY) as f32).collect()
}

/// Triangles of equal width in mel, each up to 1. The bin at half of the sample rate belongs to none.
fn filters(rate: u32, n_fft: usize, bands: usize, highest: f64) -> Vec<Filter> {
    let rate = f64::from(rate);
    let low = mel(LOWEST);
    let step = (mel(highest) - low) / (bands + 1) as f64;
    let filter = |band: usize| {
        let centre = low + step * (band + 1) as f64;
        Filter::new(n_fft / 2, |bin| (1.0 - (mel(bin as f64 * rate / n_fft as f64) - centre).abs() / step) as f32)
    };
    (0..bands).map(filter).collect()
}

fn mel(hertz: f64) -> f64 {
    1127.0 * (1.0 + hertz / 700.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Dice, tone};

    const RATE: u32 = 16_000;

    #[test]
    fn frames_lie_wholly_inside() {
        let fbank = Fbank::new(RATE, 80);
        for (samples, frames) in [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98)] {
            assert_eq!(fbank.frames(samples), frames);
            assert_eq!(fbank.compute(&vec![0.1; samples]).len(), 80 * frames);
        }
    }

    #[test]
    fn what_does_not_change_is_silent() {
        let silence = f32::EPSILON.ln();
        assert!(Fbank::new(RATE, 80).compute(&[0.25; 400]).iter().all(|&value| value == silence));
    }

    /// The definition, in f64.
    #[test]
    fn a_frame_is_the_definition() {
        let mut dice = Dice(7);
        let samples: Vec<f32> = tone(700.0, 0.3, RATE, 0.025).iter().map(|x| 0.2 + x + 0.1 * dice.noise()).collect();
        let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / 400.0;
        let centred: Vec<f64> = samples.iter().map(|&x| f64::from(x) - mean).collect();
        let frame: Vec<f64> = (0..400)
            .map(|n| {
                let hann = 0.5 - 0.5 * (TAU * n as f64 / 399.0).cos();
                (centred[n] - 0.97 * centred[n.saturating_sub(1)]) * hann.powf(0.85)
            })
            .collect();
        let power = |bin: usize| {
            let angle = |n: usize| TAU * (bin * n) as f64 / 512.0;
            let re: f64 = frame.iter().enumerate().map(|(n, x)| x * angle(n).cos()).sum();
            let im: f64 = frame.iter().enumerate().map(|(n, x)| x * angle(n).sin()).sum();
            re * re + im * im
        };
        let powers: Vec<f64> = (0..256).map(power).collect();
        let corner = |at: usize| mel(20.0) + (mel(8000.0) - mel(20.0)) * at as f64 / 81.0;
        for (band, value) in Fbank::new(RATE, 80).compute(&samples).into_iter().enumerate() {
            let (left, centre, right) = (corner(band), corner(band + 1), corner(band + 2));
            let weight = |m: f64| ((m - left) / (centre - left)).min((right - m) / (right - centre)).max(0.0);
            let energy: f64 = powers.iter().enumerate().map(|(bin, x)| x * weight(mel(bin as f64 * 31.25))).sum();
            let expected = energy.max(f64::from(f32::EPSILON)).ln();
            assert!((f64::from(value) - expected).abs() < 1e-4, "band {band}: {value} {expected}");
        }
    }
}
