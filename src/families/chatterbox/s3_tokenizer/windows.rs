//! How a long recording is cut into windows, and what is kept of each.

use std::ops::Range;

/// Frames of the spectrum that make a token.
const FRAMES_PER_TOKEN: usize = 4;
/// Frames of a window at most: 30 s, the longest that the tokenizer was trained on.
pub const LONGEST: usize = 3000;
/// Frames that a window shares with the next one: 4 s.
const OVERLAP: usize = 400;
/// Tokens that are left out where two windows meet, of each of them: half of what they share.
const LEFT_OUT: usize = OVERLAP / 2 / FRAMES_PER_TOKEN;

/// A part of the spectrum, and which of its tokens count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub frames: Range<usize>,
    /// Counted from the window's first token.
    pub tokens: Range<usize>,
}

/// The windows of so many frames.
///
/// They are those of the library `s3tokenizer`, in one respect to the listener's loss: a last window of less than the
/// overlap lies wholly inside the one before, which gives its end up all the same; up to 2 s are then heard by nobody.
pub fn windows(frames: usize) -> Vec<Window> {
    if frames <= LONGEST {
        return vec![Window { frames: 0..frames, tokens: 0..tokens(frames) }];
    }
    let starts = (0..frames).step_by(LONGEST - OVERLAP);
    let last = starts.len() - 1;
    let window = |(at, start): (usize, usize)| {
        let end = frames.min(start + LONGEST);
        let count = tokens(end - start);
        let from = if at == 0 { 0 } else { LEFT_OUT.min(count) };
        let to = if at == last { count } else { count - LEFT_OUT };
        Window { frames: start..end, tokens: from..to }
    };
    starts.enumerate().map(window).collect()
}

/// Tokens of so many frames: each of the two convolutions halves them, and a rest makes one more.
pub fn tokens(frames: usize) -> usize {
    frames.div_ceil(FRAMES_PER_TOKEN)
}

/// Frames that so many tokens are made of.
pub fn frames(tokens: usize) -> usize {
    tokens.saturating_mul(FRAMES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(frames: usize) -> Vec<(Range<usize>, Range<usize>)> {
        windows(frames).into_iter().map(|window| (window.frames, window.tokens)).collect()
    }

    #[test]
    fn half_a_minute_is_one_window() {
        assert_eq!(all(0), [(0..0, 0..0)]);
        assert_eq!(all(1), [(0..1, 0..1)]);
        assert_eq!(all(3000), [(0..3000, 0..750)]);
    }

    #[test]
    fn windows_meet_in_the_middle_of_what_they_share() {
        assert_eq!(all(3001), [(0..3000, 0..700), (2600..3001, 50..101)]);
        assert_eq!(all(6000), [(0..3000, 0..700), (2600..5600, 50..700), (5200..6000, 50..200)]);
    }

    #[test]
    fn every_token_counts_once_where_the_last_window_is_long_enough() {
        for frames in (3001..20_000).filter(|frames| (frames - 1) % 2600 >= 400) {
            let kept = windows(frames).into_iter().map(|window| window.tokens.len()).sum::<usize>();
            assert_eq!(kept, tokens(frames), "{frames}");
        }
    }

    #[test]
    fn a_last_window_within_the_overlap_adds_nothing() {
        assert_eq!(all(5300), [(0..3000, 0..700), (2600..5300, 50..625), (5200..5300, 25..25)]);
    }
}
