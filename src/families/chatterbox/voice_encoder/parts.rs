//! Into which parts a recording is cut.

/// Frames of a part.
pub const PART: usize = 160;
/// Frames from the beginning of one part to that of the next: 1.3 parts a second, as the encoder's authors have it.
pub const STEP: usize = 77;

/// Parts of a spectrum of so many frames. What is left after the last whole one makes another if, together with what that
/// shares with it, it covers four fifths of a part. Even the shortest recording is a part; one without a frame is none.
pub fn count(frames: usize) -> usize {
    if frames == 0 {
        return 0;
    }
    let steps = (frames + STEP).saturating_sub(PART);
    let (whole, left) = (steps / STEP, steps % STEP);
    let covers = 5 * (left + PART - STEP) >= 4 * PART;
    whole + usize::from(whole == 0 || covers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_makes_a_part_if_it_is_long_enough() {
        // The second part begins at frame 77 and is four fifths full at frame 205.
        for (frames, parts) in [(0, 0), (1, 1), (159, 1), (160, 1), (204, 1), (205, 2), (237, 2), (281, 2), (282, 3)] {
            assert_eq!(count(frames), parts, "{frames}");
        }
    }
}
