//! What tells speech from what is to be left out.

use std::time::Duration;

/// Gaps, pauses and margins are at most so long, whatever is asked for.
const LONGEST: Duration = Duration::from_secs(60);

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

/// Of a duration, which is bounded.
pub(super) fn frames(rate: u32, duration: Duration) -> usize {
    (duration.min(LONGEST).as_secs_f64() * f64::from(rate)).round() as usize
}
