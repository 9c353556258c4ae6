//! The filter whose magnitudes are given in bands, and whose phase is the least that goes with them.

use realfft::num_complex::Complex;

use super::{config::Signal, source::Source};
use crate::audio::Fourier;

/// From rows of log magnitudes, harmonics then noise, to spectra.
#[derive(Debug)]
pub struct BandFilter {
    bands: usize,
    /// For each bin, the band below it and how far it is on the way to the next.
    places: Vec<(usize, f32)>,
    /// Room for one frame, `[bins]` each.
    log: Vec<f32>,
    phase: Vec<f32>,
}

// === impl BandFilter ===

impl BandFilter {
    pub fn new(signal: &Signal) -> Self {
        Self { bands: signal.bands(), places: places(signal), log: Vec::new(), phase: Vec::new() }
    }

    /// Numbers of a frame.
    pub fn width(&self) -> usize {
        2 * self.bands
    }

    /// Adds the spectrum of a frame to the empty `out`.
    pub fn shape(
        &mut self,
        row: &[f32],
        frame: usize,
        source: &mut Source,
        fourier: &mut Fourier,
        out: &mut Vec<Complex<f32>>,
    ) {
        let (harmonic, noise) = row.split_at(self.bands);
        self.interpolate(noise);
        out.extend(source.noise(frame).zip(&self.log).map(|(noise, log)| noise * log.exp()));
        if let Some(pulses) = source.pulses(frame, fourier) {
            self.interpolate(harmonic);
            self.minimum_phase(fourier);
            for (((out, pulses), log), phase) in out.iter_mut().zip(pulses).zip(&self.log).zip(&self.phase) {
                *out += *pulses * Complex::from_polar(log.exp(), *phase);
            }
        }
    }

    /// Fills `log` with the values of bands at all bins.
    fn interpolate(&mut self, bands: &[f32]) {
        let next = |band: usize| bands.get(band + 1).or(bands.last()).copied().unwrap_or(0.0);
        let values = self.places.iter().map(|&(band, part)| bands[band] * (1.0 - part) + next(band) * part);
        self.log.clear();
        self.log.extend(values);
    }

    /// Fills `phase` with that of the causal filter whose log magnitude is `log`: its cepstrum folded forward.
    fn minimum_phase(&mut self, fourier: &mut Fourier) {
        let log = &self.log;
        let cepstrum = fourier.samples(|complex| {
            complex.iter_mut().zip(log).for_each(|(out, &log)| *out = Complex::new(log, 0.0));
        });
        let half = cepstrum.len() / 2;
        cepstrum[1..half].iter_mut().for_each(|x| *x *= 2.0);
        cepstrum[half + 1..].fill(0.0);
        let spectrum = fourier.spectrum(|_| ());
        self.phase.clear();
        self.phase.extend(spectrum.iter().map(|bin| bin.im));
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
