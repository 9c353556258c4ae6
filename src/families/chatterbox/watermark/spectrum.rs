//! Frames of sound as the network knows them: levels in decibels, over the range that it was trained on.

use realfft::num_complex::Complex;

/// Samples of a frame, and from one to the next.
#[derive(Clone, Copy, Debug)]
pub struct Frames {
    pub window: usize,
    pub hop: usize,
}

/// Those of the reference, which are of sound at 32 kHz.
pub const PUBLISHED: Frames = Frames { window: 2048, hop: 320 };
/// As many seconds of sound at 24 kHz: the bins lie at the same frequencies, 15.625 Hz apart.
pub const WINDOW: usize = PUBLISHED.window * 3 / 4;
pub const HOP: usize = PUBLISHED.hop * 3 / 4;
/// Samples of a frame on either side of its middle.
pub const HALF: usize = WINDOW / 2;

/// A sum over more samples of the same sound is larger by as much.
const SCALE: f32 = PUBLISHED.window as f32 / WINDOW as f32;
/// The least magnitude that counts.
const LEAST: f32 = 1e-9;
/// Its decibels, which are level 0.
const FLOOR: f32 = -180.0;
/// Decibels from level 0 to level 1.
const RANGE: f32 = 195.0;

/// What is kept of a frame until it is marked.
#[derive(Debug)]
pub struct Frame {
    /// The lower bins.
    bins: Vec<Complex<f32>>,
    /// Of the lower bins.
    pub levels: Vec<f32>,
    /// Of all bins, together.
    pub total: f32,
}

// === impl Frame ===

impl Frame {
    /// Of a whole spectrum, of which the lowest `bins` are kept.
    pub fn new(spectrum: &[Complex<f32>], bins: usize) -> Self {
        let levels: Vec<f32> = spectrum.iter().map(|bin| level(bin.norm() * SCALE)).collect();
        let total = levels.iter().sum();
        Self { bins: spectrum[..bins].to_vec(), levels: levels[..bins].to_vec(), total }
    }

    /// What is added to the lower bins where their levels change so.
    pub fn added(&self, changes: &[f32]) -> impl Iterator<Item = Complex<f32>> {
        let each = self.bins.iter().zip(&self.levels).zip(changes);
        each.map(|((bin, level), change)| {
            let more = (magnitude(level + change) - magnitude(*level)) / SCALE;
            match bin.norm() {
                0.0 => Complex::new(more, 0.0),
                norm => bin * (more / norm),
            }
        })
    }
}

fn level(magnitude: f32) -> f32 {
    (20.0 * magnitude.max(LEAST).log10() - FLOOR) / RANGE
}

fn magnitude(level: f32) -> f32 {
    // The reference's own bound.
    10f32.powf(((level * RANGE + FLOOR) / 20.0).min(10.0))
}
