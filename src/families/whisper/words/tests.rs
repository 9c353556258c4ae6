use serde::Deserialize;

use super::{
    super::{fixtures, segments::FRAMES_PER_STEP},
    *,
};
use crate::speech::{Part, Segment};

/// Start, end, and the words of a segment, each with start, end and probability.
type Placed = (f64, f64, Vec<PlacedWord>);
type PlacedWord = (String, f64, f64, f32);

#[derive(Deserialize)]
struct Alignment {
    dtw: Vec<Warped>,
    median: Vec<Smoothed>,
}

#[derive(Deserialize)]
struct Warped {
    seed: Option<u64>,
    rows: usize,
    columns: usize,
    path: Vec<(usize, usize)>,
}

#[derive(Deserialize)]
struct Smoothed {
    seed: u64,
    width: usize,
    smoothed: Vec<f32>,
}

#[derive(Deserialize)]
struct Story {
    language: String,
    frames: usize,
    seek: usize,
    last_speech: f64,
    segments: Vec<(f64, f64, Vec<u32>)>,
    seed: u64,
    tokens: usize,
    skip: usize,
    probabilities: Vec<f32>,
    timings: Vec<(String, f64, f64)>,
    placed: Vec<Placed>,
}

#[derive(Deserialize)]
struct Texts {
    words: Vec<Split>,
}

#[derive(Deserialize)]
struct Split {
    language: String,
    ids: Vec<u32>,
    words: Vec<String>,
    counts: Vec<usize>,
}

#[test]
fn paths_are_those_of_openai_whisper() {
    for case in fixtures::read::<Alignment>("alignment.json").dtw {
        let count = case.rows * case.columns;
        let costs = case.seed.map_or_else(|| vec![0.0; count], |seed| fixtures::noise(seed, count));
        assert_eq!(dtw::path(&costs, case.rows, case.columns), case.path);
    }
}

#[test]
fn medians_are_those_of_openai_whisper() {
    for case in fixtures::read::<Alignment>("alignment.json").median {
        let smoothed = attention::smooth(&fixtures::noise(case.seed, 2 * case.width), case.width);
        assert_eq!(smoothed, case.smoothed, "width {}", case.width);
    }
}

#[test]
fn words_are_split_as_openai_whisper_splits_them() {
    let tokens = fixtures::tokens();
    for case in fixtures::read::<Texts>("tokens.json").words {
        let ids = [&case.ids[..], &[tokens.eot]].concat();
        let expected: Vec<(String, usize)> = case.words.into_iter().zip(case.counts).collect();
        assert_eq!(split::words(&tokens, &case.language, &ids), expected);
    }
}

#[test]
fn words_are_timed_and_placed_as_openai_whisper_does() {
    let (tokens, positions) = (fixtures::tokens(), fixtures::config().max_source_positions);
    for story in fixtures::read::<Vec<Story>>("words.json") {
        let weights = weights(story.seed, story.tokens, positions);
        let attention = Attention { weights: &weights, tokens: story.tokens, positions };
        let starts = token_starts(attention, story.frames / FRAMES_PER_STEP, story.skip);
        let is_text = |id: &u32| *id < tokens.eot;
        let texts = || story.segments.iter().map(|(_, _, ids)| ids.iter().copied().filter(is_text));
        let text: Vec<u32> = texts().flatten().collect();
        let timings = timings(&tokens, &story.language, &text, &starts, &story.probabilities);
        let seen: Vec<_> = timings.iter().map(|one| (one.word.clone(), one.start, one.end)).collect();
        assert_eq!(seen, story.timings);

        let mut segments: Vec<Segment> = story.segments.iter().map(|(start, end, _)| segment(*start, *end)).collect();
        let lengths: Vec<usize> = texts().map(Iterator::count).collect();
        place(&mut segments, &lengths, timings, story.seek as f64 / 100.0, story.last_speech);
        assert_eq!(segments.len(), story.placed.len());
        for (segment, placed) in segments.iter().zip(story.placed) {
            assert_placed(segment, placed);
        }
    }
}

#[test]
fn words_without_a_time_share_their_segment() {
    let timing = |word: &str| WordTiming { word: word.to_owned(), tokens: 1, start: 0.0, end: 0.0, probability: 0.9 };
    let mut segments = [segment(12.0, 13.0), segment(13.5, 14.0)];
    place(&mut segments, &[2, 1], vec![timing(" the"), timing(" kitchen"), timing(" lights")], 10.0, 0.0);
    let placed = |segment: &Segment| {
        let words = segment.words.iter().map(|word| (word.word.clone(), word.start, word.end, 0.9)).collect();
        (segment.start, segment.end, words)
    };
    let word = |word: &str, start, end| (word.to_owned(), start, end, 0.9);
    assert_eq!(placed(&segments[0]), (12.0, 13.0, vec![word(" the", 12.0, 12.3), word(" kitchen", 12.3, 13.0)]));
    assert_eq!(placed(&segments[1]), (13.5, 14.0, vec![word(" lights", 13.5, 14.0)]));
}

/// As the reference's attention: noise, and more of it near the diagonal; then a distribution over all positions.
fn weights(seed: u64, tokens: usize, positions: usize) -> Vec<f32> {
    let mut scores = fixtures::noise(seed, 2 * tokens * positions);
    for (index, score) in scores.iter_mut().enumerate() {
        let (token, position) = (index / positions % tokens, index % positions);
        let near = (position * tokens).abs_diff(token * positions) < 3 * positions;
        *score = (*score + if near { 4.0 } else { 0.0 }).exp();
    }
    for row in scores.chunks_exact_mut(positions) {
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|weight| *weight /= sum);
    }
    scores
}

fn segment(start: f64, end: f64) -> Segment {
    Segment {
        id: 0,
        seek: 0,
        start,
        end,
        text: String::new(),
        tokens: Vec::new(),
        temperature: 0.0,
        avg_logprob: 0.0,
        compression_ratio: 0.0,
        no_speech_prob: 0.0,
        part: Part::WHOLE,
        speaker: None,
        words: Vec::new(),
        logprobs: Vec::new(),
        alternatives: Vec::new(),
    }
}

fn assert_placed(segment: &Segment, (start, end, words): Placed) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(segment.start, start) && near(segment.end, end), "{segment:?} {start} {end}");
    assert_eq!(segment.words.len(), words.len(), "{:?} {words:?}", segment.words);
    for (word, (text, start, end, probability)) in segment.words.iter().zip(words) {
        assert_eq!(word.word, text);
        assert!(near(word.start, start) && near(word.end, end), "{word:?} {start} {end}");
        assert!((word.probability - probability).abs() < 1e-6, "{word:?} {probability}");
    }
}
