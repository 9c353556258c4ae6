//! Blocks of speech to one sound, without clicks and without the silence and the murmur that models leave at the ends.
//!
//! Frames of 10 ms are loud or not: a stretch begins with a frame of at least `opens_at` and goes on until one is below
//! `closes_at`, or far below the loudest of its block (hysteresis, so that a fading vowel is kept and a murmur after it
//! is not). A margin around is kept; what comes before the first stretch of a block and after its last is dropped, and
//! a pause inside that is too long is shortened. Blocks follow each other after a pause of silence, or at once, across an
//! equal-power cross-fade. At every cut there is a fade.

mod seam;
mod settings;
mod trim;

use std::time::Duration;

pub use settings::JoinSettings;

use seam::Seam;
use settings::frames;
use trim::Trim;

/// Joins blocks of interleaved samples as they come. It holds back the margins, a pause that may be one at the end, a
/// frame, and a fade: about 1.2 s with the default settings, whatever is pushed.
pub struct Joiner {
    trim: Trim,
    seam: Seam,
    rate: u32,
}

// === impl Joiner ===

impl Joiner {
    /// For sound at `rate` hertz, of at least one channel.
    pub fn new(rate: u32, channels: usize, settings: &JoinSettings) -> Self {
        let trim = Trim::new(rate, channels, settings);
        Self { trim, seam: Seam::new(channels, frames(rate, settings.fade)), rate }
    }

    /// Takes whole frames of the present block, appends to `out` what is ready.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let Self { trim, seam, .. } = self;
        trim.push(samples, seam, out);
    }

    /// The block is over; the next one, if any is heard, begins after this much silence. With none, the two cross.
    pub fn end_block(&mut self, gap: Duration, out: &mut Vec<f32>) {
        let Self { trim, seam, rate } = self;
        trim.end(seam, out);
        seam.end(frames(*rate, gap) * seam.channels, out);
    }

    /// Where a moment of the present block, in seconds from its beginning, lies in all that was put out, in seconds. What
    /// is dropped lies where the sound goes on after it. `None` as long as nothing of the block is heard.
    pub fn place(&self, seconds: f64) -> Option<f64> {
        let Self { trim, seam, rate } = self;
        let frame = (seconds * f64::from(*rate)).max(0.0).round() as usize;
        trim.place(frame, seam).map(|frame| frame as f64 / f64::from(*rate))
    }

    /// The last block is over: fades out.
    pub fn finish(mut self, out: &mut Vec<f32>) {
        let Self { trim, seam, .. } = &mut self;
        trim.end(seam, out);
        seam.fade_out(out);
    }
}

#[cfg(test)]
mod tests;
