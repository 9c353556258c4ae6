//! Source and filter: a pulse train and noise, each shaped by a spectrum, and sound from the sum of both.

use realfft::num_complex::Complex;

use super::{
    bands::BandFilter,
    config::Signal,
    hibari::BinFilter,
    source::{Edges, Source},
};
use crate::audio::{Fourier, InverseStft};

/// Sound from rows of what the networks say, frame by frame.
#[derive(Debug)]
pub struct Vocoder {
    filter: Filter,
    source: Source,
    fourier: Fourier,
    inverse: InverseStft,
    /// Of the frame in hand, `[bins]`.
    spectrum: Vec<Complex<f32>>,
    /// Frames so far.
    frame: usize,
}

/// How a row becomes a spectrum.
#[derive(Debug)]
enum Filter {
    /// Lark's.
    Bands(BandFilter),
    /// Hibari's.
    Bins(BinFilter),
}

// === impl Vocoder ===

impl Vocoder {
    /// `f0`: of each frame in Hz, 0 where there is no voice. The noise of a frame depends on `seed` and its number only.
    pub fn new(signal: &Signal, f0: &[f32], seed: u64) -> Self {
        let (filter, edges) = match signal.band_centres.is_empty() {
            true => (Filter::Bins(BinFilter::new(signal.bins())), Edges::Mirror),
            false => (Filter::Bands(BandFilter::new(signal)), Edges::Silence),
        };
        Self {
            filter,
            source: Source::new(signal, f0, edges, seed),
            fourier: Fourier::new(signal.window),
            inverse: InverseStft::new(signal.window, signal.hop),
            spectrum: Vec::with_capacity(signal.bins()),
            frame: 0,
        }
    }

    /// Takes the rows of some frames and adds what is complete to `out`. Of Lark: log magnitudes, harmonics then noise,
    /// `[frames, 2 bands]`; of Hibari: `[frames, 5 bins]`, see [`BinFilter`].
    pub fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) {
        for row in rows.chunks_exact(self.filter.width()) {
            self.shape(row);
            let spectrum = &self.spectrum;
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
        let Self { filter, source, fourier, spectrum, frame, .. } = self;
        spectrum.clear();
        match filter {
            Filter::Bands(filter) => filter.shape(row, *frame, source, fourier, spectrum),
            Filter::Bins(filter) => filter.shape(row, *frame, source, fourier, spectrum),
        }
    }
}

// === impl Filter ===

impl Filter {
    /// Numbers of a frame.
    fn width(&self) -> usize {
        match self {
            Self::Bands(filter) => filter.width(),
            Self::Bins(filter) => filter.width(),
        }
    }
}
