//! Words into their segments: punctuation joined to words, and words that reach into pauses cut.

use super::timing::WordTiming;
use crate::speech::{Part, Segment, Word};

/// Joined to the word after.
const OPENING: &str = "\"'“¿([{-";
/// Joined to the word before.
const CLOSING: &str = "\"'.。,，!！?？:：”)]}、";
const SENTENCE_ENDS: &str = ".。!！?？";

/// A typical word is not taken to be longer than this, in seconds.
const LONGEST_MEDIAN: f64 = 0.7;
/// Seconds by which a word may begin before its segment or end after it, until the segment is believed more.
const SLACK: f64 = 0.5;

/// The durations of words in a window, in seconds.
#[derive(Clone, Copy)]
struct Pace {
    median: f64,
    most: f64,
}

/// Gives every segment its words and moves its ends to theirs. `text_lengths` are the segments' numbers of text
/// tokens, `offset` the start of the window, `last_speech` the end of the last word before it, in seconds.
pub fn place(
    segments: &mut [Segment],
    text_lengths: &[usize],
    mut timings: Vec<WordTiming>,
    offset: f64,
    last_speech: f64,
) {
    let pace = Pace::of(&timings);
    if pace.median > 0.0 {
        cut_at_sentence_ends(&mut timings, pace.most);
    }
    join_opening(&mut timings);
    join_closing(&mut timings);
    let (mut timings, mut last_speech) = (timings.into_iter(), last_speech);
    for (segment, length) in segments.iter_mut().zip(text_lengths) {
        segment.words = take_words(&mut timings, *length, offset);
        if segment.words.is_empty() {
            continue;
        }
        if pace.median > 0.0 {
            pace.cut_after_pause(&mut segment.words, last_speech);
            pace.settle_start(segment);
            pace.settle_end(segment);
        } else {
            spread(segment);
        }
        last_speech = segment.end;
    }
}

/// The words of the next `length` tokens.
fn take_words(timings: &mut impl Iterator<Item = WordTiming>, length: usize, offset: f64) -> Vec<Word> {
    let (mut words, mut taken) = (Vec::new(), 0);
    while taken < length {
        let Some(timing) = timings.next() else { break };
        taken += timing.tokens;
        if !timing.word.is_empty() {
            let (start, end) = (hundredths(offset + timing.start), hundredths(offset + timing.end));
            words.push(Word {
                word: timing.word,
                start,
                end,
                probability: timing.probability,
                part: Part::WHOLE,
                speaker: None,
            });
        }
    }
    words
}

/// Where the heads tell nothing, so that no word lasts at all, the segment keeps its ends and its words share it by their
/// letters. openai-whisper leaves out what was said then.
fn spread(segment: &mut Segment) {
    let lengths: Vec<f64> = segment.words.iter().map(|word| word.word.trim().chars().count().max(1) as f64).collect();
    let pace = (segment.end - segment.start) / lengths.iter().sum::<f64>();
    let mut at = segment.start;
    for (word, length) in segment.words.iter_mut().zip(lengths) {
        word.start = hundredths(at);
        at += length * pace;
        word.end = hundredths(at);
    }
}

/// A word that ends a sentence does not last through the pause after it, nor does one that begins a sentence begin
/// before the pause.
fn cut_at_sentence_ends(timings: &mut [WordTiming], most: f64) {
    for index in 1..timings.len() {
        if timings[index].end - timings[index].start > most {
            if SENTENCE_ENDS.contains(&timings[index].word) {
                timings[index].end = timings[index].start + most;
            } else if SENTENCE_ENDS.contains(&timings[index - 1].word) {
                timings[index].start = timings[index].end - most;
            }
        }
    }
}

fn join_opening(timings: &mut [WordTiming]) {
    let mut following = timings.len().saturating_sub(1);
    for index in (0..following).rev() {
        let word = &timings[index].word;
        if word.starts_with(' ') && OPENING.contains(word.trim()) {
            let (word, tokens) = take(&mut timings[index]);
            timings[following].word.insert_str(0, &word);
            timings[following].tokens += tokens;
        } else {
            following = index;
        }
    }
}

fn join_closing(timings: &mut [WordTiming]) {
    let mut previous = 0;
    for index in 1..timings.len() {
        if !timings[previous].word.ends_with(' ') && CLOSING.contains(&timings[index].word) {
            let (word, tokens) = take(&mut timings[index]);
            timings[previous].word.push_str(&word);
            timings[previous].tokens += tokens;
        } else {
            previous = index;
        }
    }
}

fn take(timing: &mut WordTiming) -> (String, usize) {
    (std::mem::take(&mut timing.word), std::mem::take(&mut timing.tokens))
}

fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

// === impl Pace ===

impl Pace {
    fn of(timings: &[WordTiming]) -> Self {
        let mut durations: Vec<f64> = timings.iter().map(|timing| timing.end - timing.start).collect();
        durations.retain(|duration| *duration != 0.0);
        let median = median(&mut durations).min(LONGEST_MEDIAN);
        Self { median, most: median * 2.0 }
    }

    /// The first two words after a pause do not begin in it.
    fn cut_after_pause(self, words: &mut [Word], last_speech: f64) {
        let long = |words: &[Word]| words[words.len() - 1].end - words[0].start;
        let first_two_too_long = words.len() > 1 && long(&words[..2]) > self.most * 2.0;
        let after_pause = words[0].end - last_speech > self.median * 4.0;
        if !after_pause || !(long(&words[..1]) > self.most || first_two_too_long) {
            return;
        }
        if words.len() > 1 && long(&words[1..2]) > self.most {
            let boundary = (words[1].end / 2.0).max(words[1].end - self.most);
            words[0].end = boundary;
            words[1].start = boundary;
        }
        words[0].start = (words[0].end - self.most).max(0.0);
    }

    /// The segment begins with its first word, unless that begins far too early.
    fn settle_start(self, segment: &mut Segment) {
        let first = &mut segment.words[0];
        if segment.start < first.end && segment.start - SLACK > first.start {
            first.start = (first.end - self.median).min(segment.start).max(0.0);
        } else {
            segment.start = first.start;
        }
    }

    /// The segment ends with its last word, unless that ends far too late.
    fn settle_end(self, segment: &mut Segment) {
        let Some(last) = segment.words.last_mut() else { return };
        if segment.end > last.start && segment.end + SLACK < last.end {
            last.end = (last.start + self.median).max(segment.end);
        } else {
            segment.end = last.end;
        }
    }
}

/// 0 of nothing.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}
