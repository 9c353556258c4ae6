//! Back from spectra to sound, frame by frame, by overlap and add; and single transforms either way.

use std::{collections::VecDeque, sync::Arc};

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};

use super::stft::hann;

/// Both transforms of one size, with room to work in.
pub struct Fourier {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    real: Vec<f32>,
    complex: Vec<Complex<f32>>,
    forward_scratch: Vec<Complex<f32>>,
    inverse_scratch: Vec<Complex<f32>>,
}

/// Frames of a spectrum to samples, a hop for each frame: sample 0 is the middle of frame 0.
pub struct InverseStft {
    window: Vec<f32>,
    hop: usize,
    /// The sums so far of the samples that later frames still touch, and of the squares of their windows.
    sums: VecDeque<f32>,
    weights: VecDeque<f32>,
    /// Samples before the middle of frame 0, which are not given out.
    early: usize,
}

// === impl Fourier ===

impl Fourier {
    /// Of `size` samples; `size / 2 + 1` bins.
    pub fn new(size: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        Self {
            real: forward.make_input_vec(),
            complex: forward.make_output_vec(),
            forward_scratch: forward.make_scratch_vec(),
            inverse_scratch: inverse.make_scratch_vec(),
            forward,
            inverse,
        }
    }

    /// The spectrum of the samples that `fill` writes.
    pub fn spectrum(&mut self, fill: impl FnOnce(&mut [f32])) -> &mut [Complex<f32>] {
        fill(&mut self.real);
        let done = self.forward.process_with_scratch(&mut self.real, &mut self.complex, &mut self.forward_scratch);
        debug_assert!(done.is_ok(), "the sizes are the plan's own");
        &mut self.complex
    }

    /// The samples of the spectrum that `fill` writes, scaled as the inverse of [`Self::spectrum`].
    pub fn samples(&mut self, fill: impl FnOnce(&mut [Complex<f32>])) -> &mut [f32] {
        fill(&mut self.complex);
        // A real signal has nothing imaginary at both ends of its spectrum.
        let last = self.complex.len() - 1;
        (self.complex[0].im, self.complex[last].im) = (0.0, 0.0);
        let done = self.inverse.process_with_scratch(&mut self.complex, &mut self.real, &mut self.inverse_scratch);
        debug_assert!(done.is_ok(), "the sizes are the plan's own");
        let scale = 1.0 / self.real.len() as f32;
        self.real.iter_mut().for_each(|sample| *sample *= scale);
        &mut self.real
    }
}

impl std::fmt::Debug for Fourier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fourier").field("size", &self.real.len()).finish_non_exhaustive()
    }
}

// === impl InverseStft ===

impl InverseStft {
    /// With a periodic Hann window of `size` samples, two hops or more.
    pub fn new(size: usize, hop: usize) -> Self {
        let empty: VecDeque<f32> = std::iter::repeat_n(0.0, size).collect();
        Self { window: hann(size), hop, sums: empty.clone(), weights: empty, early: size / 2 }
    }

    /// Takes the samples of a frame, before the window; adds to `out` what no later frame touches.
    pub fn push(&mut self, frame: &[f32], out: &mut Vec<f32>) {
        for (((sum, weight), sample), window) in
            self.sums.iter_mut().zip(&mut self.weights).zip(frame).zip(&self.window)
        {
            *sum += sample * window;
            *weight += window * window;
        }
        self.shift(out);
    }

    /// What is left after the last frame: so many samples in all that there is a hop for each frame, and maybe a few more.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        for _ in 0..(self.window.len() / 2).div_ceil(self.hop) {
            self.shift(out);
        }
    }

    fn shift(&mut self, out: &mut Vec<f32>) {
        for _ in 0..self.hop {
            let sum = self.sums.pop_front().unwrap_or_default();
            let weight = self.weights.pop_front().unwrap_or_default();
            self.sums.push_back(0.0);
            self.weights.push_back(0.0);
            if self.early > 0 {
                self.early -= 1;
            } else {
                out.push(sum / weight.max(1e-8));
            }
        }
    }
}

impl std::fmt::Debug for InverseStft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InverseStft").field("size", &self.window.len()).field("hop", &self.hop).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_signal_give_the_signal_back() {
        // A hop need not divide the window.
        for (size, hop, given) in [(48, 12, 108), (48, 15, 141)] {
            gives_back(size, hop, 9, given);
        }
    }

    fn gives_back(size: usize, hop: usize, frames: usize, given: usize) {
        let signal: Vec<f32> = (0..frames * hop).map(|n| ((n * n % 17) as f32 - 8.0) / 8.0).collect();
        let (mut fourier, mut inverse, window) = (Fourier::new(size), InverseStft::new(size, hop), hann(size));
        let mut out = Vec::new();
        for frame in 0..frames {
            let at = |n: usize| (frame * hop + n).checked_sub(size / 2).and_then(|n| signal.get(n)).copied();
            let spectrum = fourier.spectrum(|real| {
                real.iter_mut().enumerate().for_each(|(n, x)| *x = at(n).unwrap_or(0.0) * window[n]);
            });
            let spectrum = spectrum.to_vec();
            inverse.push(fourier.samples(|complex| complex.copy_from_slice(&spectrum)), &mut out);
        }
        inverse.finish(&mut out);
        assert_eq!(out.len(), given);
        // The last half window lacks frames after it.
        for (place, (out, signal)) in out.iter().zip(&signal).enumerate().take(signal.len() - hop) {
            assert!((out - signal).abs() < 1e-5, "sample {place}: {out}, not {signal}");
        }
    }
}
