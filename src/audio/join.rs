//! Blocks of speech to one sound, without clicks and without the silence and the murmur that models leave at the ends.
//!
//! Frames of 10 ms are loud or not: a stretch begins with a frame of at least `opens_at` and goes on until one is below
//! `closes_at`, or far below the loudest of its block (hysteresis, so that a fading vowel is kept and a murmur after it
//! is not). A margin around is kept; what comes before the first stretch of a block and after its last is dropped, and
//! a pause inside that is too long is shortened. Blocks follow each other after a pause of silence, or at once, across an
//! equal-power cross-fade. At every cut there is a fade.

mod seam;
mod trim;

use std::time::Duration;

use seam::Seam;
use trim::Trim;

/// How blocks are joined. Levels are in dB of full scale, root mean square over a frame of 10 ms and all channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JoinSettings {
    /// The level at which sound begins.
    pub opens_at: f32,
    /// The level below which it ends; not above `opens_at`.
    pub closes_at: f32,
    /// So far below the loudest frame of its block, in dB, sound has ended, too.
    pub range: f32,
    /// Kept before sound, so that a soft consonant is not lost.
    pub lead: Duration,
    /// Kept after sound, so that a word may fade.
    pub tail: Duration,
    /// What lies between two stretches of a block, at most, beside both margins.
    pub longest_pause: Duration,
    /// Length of each fade and cross-fade.
    pub fade: Duration,
}

/// Joins blocks of interleaved samples as they come. It holds back the margins, a pause that may be one at the end, a
/// frame, and a fade: about 1.2 s with the default settings, whatever is pushed.
pub struct Joiner {
    trim: Trim,
    seam: Seam,
    rate: u32,
}

/// Gaps, pauses and margins are at most so long, whatever is asked for.
const LONGEST: Duration = Duration::from_secs(60);

// === impl JoinSettings ===

/// Speech lies around -20 dB, the noise floor of today's models around -55.
impl Default for JoinSettings {
    fn default() -> Self {
        Self {
            opens_at: -42.0,
            closes_at: -50.0,
            range: 36.0,
            lead: Duration::from_millis(40),
            tail: Duration::from_millis(80),
            longest_pause: Duration::from_secs(1),
            fade: Duration::from_millis(8),
        }
    }
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

    /// The last block is over: fades out.
    pub fn finish(mut self, out: &mut Vec<f32>) {
        let Self { trim, seam, .. } = &mut self;
        trim.end(seam, out);
        seam.fade_out(out);
    }
}

/// Of a duration, which is bounded.
fn frames(rate: u32, duration: Duration) -> usize {
    (duration.min(LONGEST).as_secs_f64() * f64::from(rate)).round() as usize
}

#[cfg(test)]
mod tests;
