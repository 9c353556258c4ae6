use super::*;
use crate::speech::Part;

const THRESHOLD: f64 = 2.0;

fn word(start: f64, end: f64, probability: f32) -> Word {
    Word { word: " word".to_owned(), start, end, probability, part: Part::WHOLE, speaker: None }
}

/// A segment of words that last half a second each, or of strange ones.
fn segment(start: f64, words: usize, strange: bool) -> Segment {
    let length = if strange { 0.02 } else { 0.5 };
    let at = |index: usize| start + index as f64 * length;
    let words: Vec<Word> =
        (0..words).map(|index| word(at(index), at(index + 1), if strange { 0.1 } else { 0.9 })).collect();
    Segment {
        id: 0,
        seek: 0,
        start,
        end: words.last().map_or(start, |word| word.end),
        text: " word".repeat(words.len()),
        tokens: vec![],
        temperature: 0.0,
        avg_logprob: 0.0,
        compression_ratio: 1.0,
        no_speech_prob: 0.0,
        part: Part::WHOLE,
        speaker: None,
        words,
        logprobs: vec![],
        alternatives: Vec::new(),
    }
}

fn judge(segments: &[Segment], last_speech: f64, complete: bool) -> Verdict {
    let window =
        WindowWords { segments, start: 30.0, end: 60.0, sound_end: 60.0, recording_end: 100.0, last_speech, complete };
    window.judge(THRESHOLD)
}

#[test]
fn speech_stays_and_the_next_window_begins_behind_its_last_word() {
    let speech = [segment(31.0, 4, false), segment(40.0, 6, false)];
    assert_eq!(judge(&speech, 29.0, false), Verdict { kept: 2, next: Some(43.0) });
    // A window that was heard to its end goes on as it would.
    assert_eq!(judge(&speech, 29.0, true), Verdict { kept: 2, next: None });
    // So little is left of it that nothing can be in there.
    let late = [segment(58.0, 3, false)];
    assert_eq!(judge(&late, 29.0, false), Verdict { kept: 1, next: Some(60.0) });
}

#[test]
fn what_begins_with_a_strange_segment_after_silence_is_heard_again_without_it() {
    let astray = [segment(35.0, 3, true), segment(40.0, 6, false)];
    assert_eq!(judge(&astray, 29.0, false), Verdict { kept: 0, next: Some(35.0) });
}

#[test]
fn a_strange_segment_between_silences_is_left_out_with_what_follows() {
    let strange = [segment(30.5, 4, false), segment(40.0, 3, true), segment(50.0, 4, false)];
    assert_eq!(judge(&strange, 29.0, false), Verdict { kept: 1, next: Some(40.0) });
    // Speech right before or right behind it is a reason to believe it.
    let beside = [segment(30.5, 18, false), segment(40.0, 3, true), segment(41.0, 4, false)];
    assert_eq!(judge(&beside, 29.0, true), Verdict { kept: 3, next: None });
    // More of the kind behind it is none.
    let more = [segment(30.5, 4, false), segment(40.0, 3, true), segment(41.0, 3, true)];
    assert_eq!(judge(&more, 29.0, true).kept, 1);
}

#[test]
fn at_the_end_of_a_recording_it_ends_it() {
    let segments = [segment(30.5, 4, false), segment(49.0, 3, true)];
    let window = WindowWords {
        segments: &segments,
        start: 30.0,
        end: 51.0,
        sound_end: 50.0,
        recording_end: 50.0,
        last_speech: 29.0,
        complete: true,
    };
    assert_eq!(window.judge(THRESHOLD), Verdict { kept: 1, next: Some(50.0) });
}

#[test]
fn words_are_strange_where_they_are_improbable_or_last_no_time_or_very_long() {
    assert_eq!(strangeness(&word(0.0, 0.5, 0.9)), 0.0);
    assert_eq!(strangeness(&word(0.0, 0.5, 0.1)), 1.0);
    assert!((strangeness(&word(0.0, 0.033, 0.9)) - 1.5).abs() < 1e-9);
    assert!((strangeness(&word(0.0, 3.5, 0.9)) - 1.5).abs() < 1e-9);
    assert!(!is_anomaly(&segment(0.0, 0, true)), "a segment without words is not judged");
}
