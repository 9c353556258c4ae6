//! What a voice is made of before anything shapes it: a pulse train at its pitch, and noise.

use std::f32::consts::TAU;

use rand::{Rng, SeedableRng, rngs::StdRng};
use realfft::num_complex::Complex;

use super::config::Signal;
use crate::audio::{Fourier, stft::hann};

/// What lies beyond both ends of the pulse train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    Silence,
    /// The train itself, backwards.
    Mirror,
}

/// The source of one sentence, seen frame by frame.
#[derive(Debug)]
pub struct Source {
    /// One for each sample of the sound.
    pulses: Vec<f32>,
    edges: Edges,
    window: Vec<f32>,
    hop: usize,
    seed: u64,
    spectrum: Vec<Complex<f32>>,
}

// === impl Source ===

impl Source {
    /// `f0`: of each frame in Hz, 0 where there is no voice. The noise of a frame depends on `seed` and its number only.
    pub fn new(signal: &Signal, f0: &[f32], edges: Edges, seed: u64) -> Self {
        let (pulses, window) = (pulses(signal, f0), hann(signal.window));
        Self { pulses, edges, window, hop: signal.hop, seed, spectrum: Vec::new() }
    }

    /// Noise for the bins of a frame, complex and normal, of power 1 (Box and Muller).
    pub fn noise(&self, frame: usize) -> impl Iterator<Item = Complex<f32>> + use<> {
        let mut random = StdRng::seed_from_u64(self.seed ^ (frame as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        std::iter::repeat_with(move || {
            let (radius, turn): (f32, f32) = (random.random(), random.random());
            Complex::from_polar((-(1.0 - radius).ln()).sqrt(), TAU * turn)
        })
    }

    /// The spectrum of the pulses around a frame, in which a harmonic of amplitude 1 peaks at 1; `None` where there are
    /// none.
    pub fn pulses(&mut self, frame: usize, fourier: &mut Fourier) -> Option<&[Complex<f32>]> {
        let size = self.window.len();
        let start = (frame * self.hop) as isize - (size / 2) as isize;
        let at = |n: usize| self.pulse(start + n as isize);
        if (0..size).all(|n| at(n) == 0.0) {
            return None;
        }
        let scale = 4.0 / size as f32;
        let spectrum = fourier.spectrum(|real| {
            real.iter_mut().zip(&self.window).enumerate().for_each(|(n, (x, window))| *x = at(n) * window * scale);
        });
        self.spectrum.clear();
        self.spectrum.extend_from_slice(spectrum);
        Some(&self.spectrum)
    }

    fn pulse(&self, place: isize) -> f32 {
        let last = self.pulses.len() as isize - 1;
        let place = match self.edges {
            Edges::Mirror if place < 0 => -place,
            Edges::Mirror if place > last => 2 * last - place,
            _ => place,
        };
        usize::try_from(place).ok().and_then(|place| self.pulses.get(place)).copied().unwrap_or(0.0)
    }
}

/// Every harmonic below the top at amplitude 1, in phase: `Σ cos(h t) = sin((H + ½) t) / (2 sin(t / 2)) - ½`.
fn pulses(signal: &Signal, f0: &[f32]) -> Vec<f32> {
    let (rate, hop) = (f64::from(signal.sample_rate as u32), signal.hop);
    let mut phase = 0.0_f64;
    let (voiced, top) = (f64::from(signal.voiced), f64::from(signal.top));
    let samples = (0..f0.len() * hop).map(|n| {
        let pitch = pitch_at(f0, (n as f64 + 0.5) / hop as f64 - 0.5);
        let hertz = pitch.max(voiced);
        phase = (phase + hertz / rate).fract();
        if pitch > voiced { pulse(phase * std::f64::consts::TAU, (top / hertz).floor()) } else { 0.0 }
    });
    samples.collect()
}

/// The sum of `count` cosines at phase `t`.
fn pulse(t: f64, count: f64) -> f32 {
    let half = 2.0 * (t / 2.0).sin();
    let sum = if half.abs() < 2e-3 { count + 0.5 } else { ((count + 0.5) * t).sin() / half };
    (sum - 0.5) as f32
}

/// In Hz; between the middles of frames pitch goes straight. There is a frame at least.
fn pitch_at(f0: &[f32], place: f64) -> f64 {
    let place = place.clamp(0.0, (f0.len() - 1) as f64);
    let (low, part) = (place.floor() as usize, place.fract());
    let (low, high) = (f64::from(f0[low]), f64::from(f0[(low + 1).min(f0.len() - 1)]));
    low + (high - low) * part
}
