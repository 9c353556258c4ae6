//! A window's tokens, cut into segments at their timestamps. Rules of openai-whisper, `transcribe.py`, but for one: there a
//! lone segment begins with its window, whatever its own first timestamp says, and one that has no other ends with it.
//! Here, as in transformers, timestamps are believed.

#[cfg(test)]
mod tests;

use std::ops::Range;

/// Frames of 10 ms per step of a timestamp.
pub const FRAMES_PER_STEP: usize = 2;

/// Seconds per step of a timestamp.
pub const STEP: f64 = 0.02;

/// How the tokens of a window fall into segments.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    pub pieces: Vec<Piece>,
    /// Frames until the next window: up to the last end of a segment, or all of this one.
    pub advance: usize,
    /// The window is heard to its end: no segment was cut off.
    pub complete: bool,
}

/// A segment before it has a place in the recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Seconds from the start of the window.
    pub start: f64,
    /// Seconds from the start of the window.
    pub end: f64,
    /// Which of the window's tokens, timestamps included.
    pub tokens: Range<usize>,
}

/// `times` is the id of 0.00 s, `frames` the length of the window's sound.
pub fn cut(tokens: &[u32], times: u32, frames: usize) -> Cut {
    let ends_once = ends_in_single_time(tokens, times);
    let mut ends: Vec<usize> = (1..tokens.len()).filter(|i| tokens[i - 1] >= times && tokens[*i] >= times).collect();
    if ends.is_empty() {
        return Cut { pieces: vec![whole(tokens, times, frames)], advance: frames, complete: ends_once };
    }
    if ends_once {
        ends.push(tokens.len());
    }
    let steps = |index: usize| tokens[index].saturating_sub(times) as usize;
    let last = ends.last().map_or(0, |end| steps(end - 1));
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let pieces = starts
        .zip(&ends)
        .map(|(start, &end)| Piece { start: seconds(steps(start)), end: seconds(steps(end - 1)), tokens: start..end })
        .collect();
    // A window that does not move on would be heard for ever.
    let advance = if ends_once || last == 0 { frames } else { last * FRAMES_PER_STEP };
    Cut { pieces, advance, complete: ends_once }
}

/// No two timestamps meet: everything is one segment, from its first token if that is a timestamp, up to a later
/// timestamp if there is one.
fn whole(tokens: &[u32], times: u32, frames: usize) -> Piece {
    let steps = |id: &u32| id.saturating_sub(times) as usize;
    let first = tokens.first().map_or(0, steps);
    let last = tokens.iter().rev().map(steps).find(|steps| *steps > 0).unwrap_or(0);
    let end = if last > first { seconds(last) } else { frames as f64 / 100.0 };
    Piece { start: seconds(first).min(end), end, tokens: 0..tokens.len() }
}

/// Nothing is said after the last segment.
fn ends_in_single_time(tokens: &[u32], times: u32) -> bool {
    matches!(tokens, [.., text, time] if *text < times && *time >= times)
}

fn seconds(steps: usize) -> f64 {
    steps as f64 * STEP
}
