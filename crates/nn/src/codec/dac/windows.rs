//! What a stretch of a sequence depends on, layer by layer, and how much goes through the layers at once.

use std::ops::Range;

/// Numbers of the widest activation of a window of the encoder: 32 MB. The frames around a window are made for nothing, so
/// that it should be long beside them: with the published sizes it has 170 frames, two seconds.
pub const WINDOW: usize = 1 << 23;
/// The same of what the decoder makes at once: 16 MB, 85 frames. Of fewer the weights of its first layers, which are laid out for
/// each pass, cost more than what activations gain by staying in a nearer cache (a tenth of the time on Zen 4).
pub const STEP: usize = 1 << 22;

/// Some steps of a sequence, from the first to one after the last. It may begin before the sequence does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: isize,
    pub end: isize,
}

// === impl Span ===

impl Span {
    /// As many steps from 0 on.
    pub fn first(steps: usize) -> Self {
        Self { start: 0, end: steps as isize }
    }

    /// What a layer is given for this, whose steps hear so many more to either side.
    pub fn widened(self, by: usize) -> Self {
        Self { start: self.start - by as isize, end: self.end + by as isize }
    }

    /// What a convolution over `taps` steps is given for this, which goes on by `stride`.
    pub fn before_strided(self, taps: usize, stride: usize, padding: usize) -> Self {
        let (taps, stride, padding) = (taps as isize, stride as isize, padding as isize);
        Self { start: self.start * stride - padding, end: (self.end - 1) * stride - padding + taps }
    }

    /// The same of a transposed one: step `i` of what it is given is spread over `stride * i - padding` and the `taps - 1`
    /// after it.
    pub fn before_transposed(self, taps: usize, stride: usize, padding: usize) -> Self {
        let (taps, stride, padding) = (taps as isize, stride as isize, padding as isize);
        let first = self.start + padding - (taps - 1);
        // Rounded up, where the division rounds down.
        Self { start: -(-first).div_euclid(stride), end: (self.end - 1 + padding).div_euclid(stride) + 1 }
    }

    /// How far this begins before the first of `size` steps, and ends after the last: in frames of so many steps.
    pub fn reach(self, size: usize) -> (usize, usize) {
        let frames = |steps: isize| usize::try_from(steps).unwrap_or(0).div_ceil(size);
        (frames(-self.start), frames(self.end - size as isize))
    }
}

/// A range and what is around it, as far as there is anything.
pub fn around(range: &Range<usize>, reach: (usize, usize), there: usize) -> Range<usize> {
    range.start.saturating_sub(reach.0)..there.min(range.end.saturating_add(reach.1))
}

/// Frames, at least one, whose widest activation, of which each has `widest` numbers, has no more than `most`.
pub fn frames_at_once(widest: usize, most: usize) -> usize {
    (most / widest.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_convolution_is_given_all_that_reaches_a_step() {
        for (taps, stride, padding) in [(16, 8, 4), (4, 2, 1), (10, 5, 3), (6, 3, 2), (3, 1, 1), (2, 4, 0)] {
            for span in [Span { start: 0, end: 1 }, Span { start: 0, end: 9 }, Span { start: -7, end: 3 }] {
                let reaches = |i: isize| {
                    let first = stride as isize * i - padding as isize;
                    first < span.end && first + taps as isize > span.start
                };
                let given: Vec<isize> = (-40..40).filter(|&i| reaches(i)).collect();
                let found = span.before_transposed(taps, stride, padding);
                if let (Some(first), Some(last)) = (given.first(), given.last()) {
                    assert!(found.start == *first && found.end == last + 1, "{span:?}, {taps}, {stride}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn reach_is_in_whole_frames() {
        assert_eq!(Span { start: -9, end: 16 }.reach(8), (2, 1));
        assert_eq!(Span { start: 0, end: 8 }.reach(8), (0, 0));
        assert_eq!(Span { start: 3, end: 5 }.reach(8), (0, 0));
        assert_eq!(Span::first(2).before_strided(4, 2, 1), Span { start: -1, end: 5 });
    }

    #[test]
    fn around_a_range_there_is_no_more_than_there_is() {
        assert_eq!(around(&(5..7), (3, 2), 20), 2..9);
        assert_eq!(around(&(1..7), (3, 2), 8), 0..8);
        assert_eq!(frames_at_once(usize::MAX, WINDOW), 1);
        assert_eq!((frames_at_once(96 * 512, WINDOW), frames_at_once(96 * 512, STEP)), (170, 85));
    }
}
