use serde::Deserialize;

use super::{super::fixtures, *};

#[derive(Deserialize)]
struct Case {
    tokens: Vec<u32>,
    frames: usize,
    advance: usize,
    /// Start, end, tokens; openai-whisper empties what says nothing.
    segments: Vec<(f64, f64, Vec<u32>)>,
}

#[test]
fn segments_and_seek_are_those_of_openai_whisper() {
    let tokens = fixtures::tokens();
    for case in fixtures::read::<Vec<Case>>("segments.json") {
        let cut = cut(&case.tokens, tokens.timestamp_begin, case.frames);
        assert_eq!(cut.advance.min(case.frames), case.advance, "{:?}", case.tokens);
        assert_eq!(cut.pieces.len(), case.segments.len(), "{:?}", case.tokens);
        for (piece, (start, end, kept)) in cut.pieces.iter().zip(case.segments) {
            let (start, end) = believed(&case.tokens, tokens.timestamp_begin, (start, end), case.frames as f64 / 100.0);
            assert!((piece.start - start).abs() < 1e-9 && (piece.end - end).abs() < 1e-9, "{piece:?} {start} {end}");
            let says_nothing =
                piece.start == piece.end || tokens.text(&case.tokens[piece.tokens.clone()]).trim().is_empty();
            assert_eq!(if says_nothing { &[] } else { &case.tokens[piece.tokens.clone()] }, kept, "{:?}", case.tokens);
        }
    }
}

/// Where openai-whisper puts a segment, and where we do: see the module.
fn believed(tokens: &[u32], times: u32, (start, end): (f64, f64), window: f64) -> (f64, f64) {
    let met = tokens.windows(2).any(|pair| pair[0] >= times && pair[1] >= times);
    match tokens.first().filter(|first| **first > times && !met) {
        Some(first) => {
            let start = f64::from(first - times) * STEP;
            (start.min(window), if end > start { end } else { window })
        }
        // Where a window has text before its first time, openai-whisper counts to below 0.
        None => (start.max(0.0), end),
    }
}

#[test]
fn a_lone_segment_begins_and_ends_with_its_own_times() {
    let piece = |tokens: &[u32]| cut(tokens, 100, 600).pieces.remove(0);
    assert_eq!((piece(&[136, 7, 209]).start, piece(&[136, 7, 209]).end), (0.72, 2.18));
    assert_eq!((piece(&[136, 7]).start, piece(&[136, 7]).end), (0.72, 6.0));
    assert_eq!((piece(&[7, 209]).start, piece(&[7, 209]).end), (0.0, 2.18));
    assert_eq!((piece(&[7]).start, piece(&[7]).end), (0.0, 6.0));
}

#[test]
fn a_window_moves_on_whatever_the_tokens() {
    for script in [&[100, 100][..], &[100, 7, 100, 100], &[100, 100, 100], &[7, 100, 100, 7]] {
        assert!(cut(script, 100, 200).advance > 0, "{script:?}");
    }
}
