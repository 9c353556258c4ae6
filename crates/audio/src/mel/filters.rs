//! Triangular filters: on Slaney's mel scale, equal to `librosa.filters.mel(norm="slaney", htk=False)`, and on that of HTK,
//! equal to `torchaudio.functional.melscale_fbanks(norm=None, mel_scale="htk")`.

use super::{super::stft::LANES, spec::MelSpec};

/// Slaney's scale is linear below this frequency, logarithmic above.
const BREAK_HZ: f64 = 1000.0;
/// Hertz per mel in the linear part.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
/// The break in mels.
const BREAK_MEL: f64 = BREAK_HZ / HZ_PER_MEL;
/// Mels per factor e in the logarithmic part: 27 steps per factor 6.4.
const MELS_PER_LOG: f64 = 27.0 / 1.856_297_990_365_626_4; // ln 6.4

/// One mel band: the weights of the few bins that it hears.
pub(crate) struct Filter {
    /// The first bin that it hears.
    pub first: usize,
    pub weights: Vec<f32>,
}

// === impl Filter ===

impl Filter {
    /// The bins, of `bins` in all, to which `weight` gives something; they lie side by side.
    pub fn new(bins: usize, weight: impl Fn(usize) -> f32) -> Self {
        let heard = |bin: &usize| weight(*bin) > 0.0;
        let first = (0..bins).find(heard).unwrap_or(0);
        Self { first, weights: (first..bins).take_while(heard).map(&weight).collect() }
    }

    /// What it hears in each of several frames, given by frequency.
    pub fn apply(&self, spectrum: &[[f32; LANES]]) -> [f32; LANES] {
        let mut sum = [0.0; LANES];
        for (weight, row) in self.weights.iter().zip(&spectrum[self.first..]) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        sum
    }
}

/// The filters of `spec` as a matrix `[bands, n_fft / 2 + 1]`, row by row, for those who hold them against others'.
pub fn slaney_matrix(spec: &MelSpec) -> Vec<f32> {
    let bins = spec.n_fft / 2 + 1;
    let mut matrix = vec![0.0; spec.bands * bins];
    for (row, filter) in matrix.chunks_exact_mut(bins).zip(slaney(spec)) {
        row[filter.first..][..filter.weights.len()].copy_from_slice(&filter.weights);
    }
    matrix
}

/// One filter per band of `spec`, lowest first. Each has unit area per hertz.
pub(super) fn slaney(spec: &MelSpec) -> Vec<Filter> {
    filters(spec, mel, hertz, |slope, left, right| slope * 2.0 / (right - left))
}

/// The same on HTK's scale. Each is 1 at its middle.
pub(super) fn htk(spec: &MelSpec) -> Vec<Filter> {
    let (mel, hertz) =
        (|hz: f64| 2595.0 * (1.0 + hz / 700.0).log10(), |mel: f64| 700.0 * (10f64.powf(mel / 2595.0) - 1.0));
    filters(spec, mel, hertz, |slope, _, _| slope)
}

/// Filters that are equally far from each other on a scale; `scaled` makes of a slope, which is 1 at the middle, and of both
/// ends what a filter has there.
fn filters(
    spec: &MelSpec,
    mel: impl Fn(f64) -> f64,
    hertz: impl Fn(f64) -> f64,
    scaled: impl Fn(f64, f64, f64) -> f64,
) -> Vec<Filter> {
    let (low, high) = (mel(spec.fmin), mel(spec.fmax));
    let step = (high - low) / (spec.bands + 1) as f64;
    let corners: Vec<f64> = (0..spec.bands + 2).map(|i| hertz(low + step * i as f64)).collect();
    let filter = |corner: &[f64]| triangle(spec, [corner[0], corner[1], corner[2]], &scaled);
    corners.windows(3).map(filter).collect()
}

fn triangle(spec: &MelSpec, [left, centre, right]: [f64; 3], scaled: impl Fn(f64, f64, f64) -> f64) -> Filter {
    let bins = spec.n_fft / 2 + 1;
    let hz_per_bin = f64::from(spec.rate) / spec.n_fft as f64;
    let weight = |bin: usize| {
        let hz = bin as f64 * hz_per_bin;
        let slope = ((hz - left) / (centre - left)).min((right - hz) / (right - centre));
        scaled(slope, left, right) as f32
    };
    Filter::new(bins, weight)
}

fn mel(hz: f64) -> f64 {
    if hz < BREAK_HZ { hz / HZ_PER_MEL } else { BREAK_MEL + (hz / BREAK_HZ).ln() * MELS_PER_LOG }
}

fn hertz(mel: f64) -> f64 {
    if mel < BREAK_MEL { mel * HZ_PER_MEL } else { BREAK_HZ * ((mel - BREAK_MEL) / MELS_PER_LOG).exp() }
}
