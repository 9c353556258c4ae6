use serde::Deserialize;

use super::{super::fixtures, RepetitionRules};
use crate::nn::sampler::LogitEdits;

#[derive(Deserialize)]
struct Case {
    made: Vec<u32>,
    seed: u64,
    scale: f32,
    timed: bool,
    masked: Vec<(usize, usize)>,
}

#[test]
fn masks_are_those_of_openai_whisper() {
    let (decoding, vocabulary) = (fixtures::decoding_config(), fixtures::config().vocab_size);
    for case in fixtures::read::<Vec<Case>>("filters.json") {
        let mut logits = fixtures::noise(case.seed, vocabulary);
        logits.iter_mut().for_each(|logit| *logit /= case.scale);
        decoding.filters.edits(&case.made, case.timed).apply(&mut logits);
        assert_eq!(masked(&logits), case.masked, "after {:?}, seed {}, timed {}", case.made, case.seed, case.timed);
    }
}

#[test]
fn times_after_the_window_are_never_made() {
    let mut filters = fixtures::decoding_config().filters.clone();
    filters.times.last = filters.times.first + 60;
    let mut logits = vec![0.0; fixtures::config().vocab_size];
    filters.edits(&[], true).apply(&mut logits);
    let times = filters.times.first as usize;
    assert_eq!(masked(&logits), [(0, times), (times + 51, logits.len())]);
    logits.fill(0.0);
    filters.edits(&[filters.times.first, 300], true).apply(&mut logits);
    assert!(logits[times + 60] == 0.0 && logits[times + 61] == f32::NEG_INFINITY);
}

/// Half-open ranges.
fn masked(logits: &[f32]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (index, _) in logits.iter().enumerate().filter(|(_, logit)| **logit == f32::NEG_INFINITY) {
        match ranges.last_mut() {
            Some((_, end)) if *end == index => *end += 1,
            _ => ranges.push((index, index + 1)),
        }
    }
    ranges
}

#[test]
fn repetition_is_made_unlikely_and_rows_of_tokens_never_come_twice() {
    let applied = |penalty: f32, no_repeat_ngram_size: usize, made: &[u32]| {
        let mut logits = vec![2.0; 5];
        let mut edits = LogitEdits::default();
        RepetitionRules { penalty, no_repeat_ngram_size }.extend(&mut edits, made);
        edits.apply(&mut logits);
        logits
    };
    const NEVER: f32 = f32::NEG_INFINITY;
    assert_eq!(applied(1.0, 0, &[1, 1, 1]), [2.0; 5]);
    assert_eq!(applied(2.0, 0, &[1, 3]), [2.0, 1.0, 2.0, 1.0, 2.0]);
    assert_eq!(applied(1.0, 1, &[1, 3]), [2.0, NEVER, 2.0, NEVER, 2.0]);
    assert_eq!(applied(1.0, 2, &[1, 3, 1]), [2.0, 2.0, 2.0, NEVER, 2.0]);
    assert_eq!(applied(1.0, 3, &[1, 3, 4, 1, 3]), [2.0, 2.0, 2.0, 2.0, NEVER]);
    assert_eq!(applied(1.0, 3, &[1, 3]), [2.0; 5]);
    assert_eq!(applied(1.0, 9, &[1, 3]), [2.0; 5]);
}
