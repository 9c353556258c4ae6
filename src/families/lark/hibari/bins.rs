//! The filter of which each bin is given by itself.

use std::f32::consts::{PI, SQRT_2};

use realfft::num_complex::Complex;

use super::super::source::Source;
use crate::audio::Fourier;

/// No log magnitude counts as more.
const LOUDEST: f32 = 7.0;

/// Stretches of a row: the log magnitude of the harmonics and how far they turn, the log magnitude of the noise, and
/// that and the phase of what is neither.
pub const PARTS: usize = 5;

/// From rows `[5 bins]` to spectra: `exp(h) exp(iπ tanh θ) pulses + exp(n) noise + exp(r) exp(iφ)`, where a row is `h`,
/// `θ`, `n`, `r` and `φ`.
#[derive(Debug)]
pub struct BinFilter {
    bins: usize,
}

// === impl BinFilter ===

impl BinFilter {
    pub fn new(bins: usize) -> Self {
        Self { bins }
    }

    /// Numbers of a frame.
    pub fn width(&self) -> usize {
        PARTS * self.bins
    }

    /// Adds the spectrum of a frame to the empty `out`.
    pub fn shape(
        &self,
        row: &[f32],
        frame: usize,
        source: &mut Source,
        fourier: &mut Fourier,
        out: &mut Vec<Complex<f32>>,
    ) {
        let part = |at: usize| &row[at * self.bins..][..self.bins];
        let magnitude = |log: f32| log.min(LOUDEST).exp();
        let (noises, rests) = (part(2), part(3).iter().zip(part(4)));
        // Both parts of its noise have power 1.
        out.extend(source.noise(frame).zip(noises).zip(rests).map(|((noise, &log), (&rest, &phase))| {
            noise * (SQRT_2 * magnitude(log)) + Complex::from_polar(magnitude(rest), phase)
        }));
        if let Some(pulses) = source.pulses(frame, fourier) {
            for (((out, pulses), &log), turn) in out.iter_mut().zip(pulses).zip(part(0)).zip(part(1)) {
                *out += *pulses * Complex::from_polar(magnitude(log), PI * turn.tanh());
            }
        }
    }
}
