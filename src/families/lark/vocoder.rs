//! Source and filter: a pulse train and noise, each shaped by a spectrum that is given in bands.

use std::f32::consts::TAU;

use rand::{Rng, SeedableRng, rngs::StdRng};
use realfft::num_complex::Complex;

use super::{
    config::Signal,
    istft::{Fourier, InverseStft, hann},
};

/// Sound from bands, frame by frame.
#[derive(Debug)]
pub struct Vocoder {
    signal: Signal,
    /// For each bin, the band below it and how far it is on the way to the next.
    places: Vec<(usize, f32)>,
    window: Vec<f32>,
    fourier: Fourier,
    inverse: InverseStft,
    /// The pulse train of the whole sentence, one sample for each of the sound.
    pulses: Vec<f32>,
    seed: u64,
    /// Frames so far.
    frame: usize,
    buffers: Buffers,
}

/// Room for one frame.
#[derive(Debug, Default)]
struct Buffers {
    /// `[bins]`
    log: Vec<f32>,
    phase: Vec<f32>,
    source: Vec<Complex<f32>>,
    spectrum: Vec<Complex<f32>>,
}

// === impl Vocoder ===

impl Vocoder {
    /// `f0`: of each frame in Hz, 0 where there is no voice. The noise of a frame depends on `seed` and its number only.
    pub fn new(signal: &Signal, f0: &[f32], seed: u64) -> Self {
        Self {
            places: places(signal),
            window: hann(signal.window),
            fourier: Fourier::new(signal.window),
            inverse: InverseStft::new(signal.window, signal.hop),
            pulses: pulses(signal, f0),
            signal: signal.clone(),
            seed,
            frame: 0,
            buffers: Buffers::default(),
        }
    }

    /// Takes rows of log magnitudes, harmonics then noise (`[frames, 2 bands]`), and adds what is complete to `out`.
    pub fn push(&mut self, bands: &[f32], out: &mut Vec<f32>) {
        for row in bands.chunks_exact(2 * self.signal.bands()) {
            self.shape(row);
            let spectrum = &self.buffers.spectrum;
            let samples = self.fourier.samples(|complex| complex.copy_from_slice(spectrum));
            self.inverse.push(samples, out);
            self.frame += 1;
        }
    }

    /// Adds the rest to `out`.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        self.inverse.finish(out);
    }

    /// The spectrum of the next frame.
    fn shape(&mut self, row: &[f32]) {
        let (harmonic, noise) = row.split_at(self.signal.bands());
        self.noise(noise);
        if self.source() {
            self.interpolate(harmonic);
            self.minimum_phase();
            let Buffers { log, phase, source, spectrum } = &mut self.buffers;
            for (((out, source), log), phase) in spectrum.iter_mut().zip(source).zip(log).zip(phase) {
                *out += *source * Complex::from_polar(log.exp(), *phase);
            }
        }
    }

    /// Fills `spectrum` with noise.
    fn noise(&mut self, bands: &[f32]) {
        self.interpolate(bands);
        let mut random = StdRng::seed_from_u64(self.seed ^ (self.frame as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let Buffers { log, spectrum, .. } = &mut self.buffers;
        spectrum.clear();
        spectrum.extend(log.iter().map(|log| {
            // Complex and normal, of power 1 (Box and Muller).
            let (radius, turn): (f32, f32) = (random.random(), random.random());
            Complex::from_polar((-(1.0 - radius).ln()).sqrt() * log.exp(), TAU * turn)
        }));
    }

    /// Fills `source` with the spectrum of the pulses around the next frame; false where there are none.
    fn source(&mut self) -> bool {
        let start = (self.frame * self.signal.hop) as isize - (self.signal.window / 2) as isize;
        let (pulses, window) = (&self.pulses, &self.window);
        let at =
            |n: usize| usize::try_from(start + n as isize).ok().and_then(|n| pulses.get(n)).copied().unwrap_or(0.0);
        if (0..self.signal.window).all(|n| at(n) == 0.0) {
            return false;
        }
        // So that a harmonic of amplitude 1 peaks at 1.
        let scale = 4.0 / self.signal.window as f32;
        let spectrum = self.fourier.spectrum(|real| {
            real.iter_mut().zip(window).enumerate().for_each(|(n, (x, window))| *x = at(n) * window * scale);
        });
        self.buffers.source.clear();
        self.buffers.source.extend_from_slice(spectrum);
        true
    }

    /// Fills `log` with the values of bands at all bins.
    fn interpolate(&mut self, bands: &[f32]) {
        let next = |band: usize| bands.get(band + 1).or(bands.last()).copied().unwrap_or(0.0);
        let values = self.places.iter().map(|&(band, part)| bands[band] * (1.0 - part) + next(band) * part);
        self.buffers.log.clear();
        self.buffers.log.extend(values);
    }

    /// Fills `phase` with that of the causal filter whose log magnitude is `log`: its cepstrum folded forward.
    fn minimum_phase(&mut self) {
        let log = &self.buffers.log;
        let cepstrum = self.fourier.samples(|complex| {
            complex.iter_mut().zip(log).for_each(|(out, &log)| *out = Complex::new(log, 0.0));
        });
        let half = cepstrum.len() / 2;
        cepstrum[1..half].iter_mut().for_each(|x| *x *= 2.0);
        cepstrum[half + 1..].fill(0.0);
        let spectrum = self.fourier.spectrum(|_| ());
        self.buffers.phase.clear();
        self.buffers.phase.extend(spectrum.iter().map(|bin| bin.im));
    }
}

/// Where each bin lies among the bands.
fn places(signal: &Signal) -> Vec<(usize, f32)> {
    let centres = &signal.band_centres;
    let place = |bin: usize| {
        let hertz = bin as f32 * signal.sample_rate as f32 / signal.window as f32;
        let band = centres.partition_point(|&centre| centre <= hertz).saturating_sub(1).min(centres.len() - 2);
        (band, ((hertz - centres[band]) / (centres[band + 1] - centres[band])).clamp(0.0, 1.0))
    };
    (0..signal.bins()).map(place).collect()
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
