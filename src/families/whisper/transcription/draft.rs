//! What a window said, on its way to segments.

use super::super::{
    decoding_config::DecodingConfig,
    hallucination::{Verdict, WindowWords},
    segments::{Cut, Piece, cut},
    tokens::Tokens,
    window::DecodeResult,
    words::{WordTiming, place},
};
use crate::speech::{Logprob, Part, Segment};

/// The segments of one window, before they are final.
pub struct Draft {
    segments: Vec<Segment>,
    /// How many text tokens each segment has.
    text_lengths: Vec<usize>,
    /// The text tokens of all segments.
    pub text: Vec<u32>,
    pub temperature: f32,
    /// Where the window starts, in frames of 10 ms.
    seek: usize,
    /// Frames until the next window.
    advance: usize,
    /// No segment was cut off.
    complete: bool,
}

// === impl Draft ===

impl Draft {
    /// `weighed`: each segment gets the log-probabilities of its tokens.
    pub fn new(result: DecodeResult, decoding: &DecodingConfig, seek: usize, frames: usize, weighed: bool) -> Self {
        let Cut { pieces, advance, complete } = cut(&result.tokens, decoding.tokens.timestamp_begin, frames);
        let mut segments: Vec<Segment> = pieces.iter().map(|piece| segment(&result, piece, decoding, seek)).collect();
        if weighed {
            for (segment, piece) in segments.iter_mut().zip(&pieces) {
                segment.logprobs = logprobs(&result, piece, &decoding.tokens);
            }
        }
        let texts =
            segments.iter().map(|segment| segment.tokens.iter().copied().filter(|id| *id < decoding.tokens.eot));
        Self {
            text_lengths: texts.clone().map(Iterator::count).collect(),
            text: texts.flatten().collect(),
            temperature: result.temperature,
            segments,
            seek,
            advance,
            complete,
        }
    }

    /// Gives the segments their words.
    pub fn place(&mut self, timings: Vec<WordTiming>, offset: f64, last_speech: f64) {
        place(&mut self.segments, &self.text_lengths, timings, offset, last_speech);
    }

    /// What is to become of it, if a text between silences of so many seconds may be none. See [`WindowWords`].
    pub fn judge(
        &self,
        (start, end): (f64, f64),
        sound_end: f64,
        recording_end: f64,
        last_speech: f64,
        threshold: f64,
    ) -> Verdict {
        // As exact as they are told.
        let mut segments = self.segments.clone();
        segments.iter_mut().for_each(round);
        let (segments, complete) = (&segments[..], self.complete);
        WindowWords { segments, start, end, sound_end, recording_end, last_speech, complete }.judge(threshold)
    }

    /// Forgets all segments but the first.
    pub fn keep(&mut self, count: usize) {
        self.segments.truncate(count);
    }

    /// Where the next window starts, in frames. Words know better than timestamps where speech ended.
    pub fn next(&self, by_words: bool) -> usize {
        let by_time = self.seek + self.advance;
        let last_word = self.end().filter(|_| by_words && !self.complete).map(|end| (end * 100.0).round() as usize);
        last_word.filter(|next| *next > self.seek).unwrap_or(by_time)
    }

    /// The end of the last word, or of the last segment if there are no words, in seconds.
    pub fn end(&self) -> Option<f64> {
        let words = self.segments.iter().flat_map(|segment| &segment.words);
        words.last().map(|word| word.end).or(self.segments.last().map(|segment| segment.end))
    }

    /// The segments that say something and last, numbered from `first`. The last may end after the recording, as it does
    /// with openai-whisper.
    pub fn finish(self, first: usize) -> Vec<Segment> {
        let lasting = |segment: &Segment| segment.start != segment.end && !segment.text.trim().is_empty();
        let mut segments: Vec<Segment> = self.segments.into_iter().filter(lasting).collect();
        for (id, segment) in (first..).zip(&mut segments) {
            segment.id = id;
            round(segment);
        }
        segments
    }
}

fn segment(result: &DecodeResult, piece: &Piece, decoding: &DecodingConfig, seek: usize) -> Segment {
    let (offset, tokens) = (seek as f64 / 100.0, result.tokens[piece.tokens.clone()].to_vec());
    Segment {
        id: 0,
        seek,
        start: offset + piece.start,
        end: offset + piece.end,
        text: decoding.tokens.text(&tokens),
        tokens,
        temperature: result.temperature,
        avg_logprob: result.quality.avg_logprob,
        compression_ratio: result.quality.compression_ratio,
        no_speech_prob: result.quality.no_speech_prob,
        part: Part::WHOLE,
        speaker: None,
        words: Vec::new(),
        logprobs: Vec::new(),
        alternatives: Vec::new(),
    }
}

/// Of the tokens that are text.
fn logprobs(result: &DecodeResult, piece: &Piece, tokens: &Tokens) -> Vec<Logprob> {
    let weighed = result.tokens.iter().zip(&result.logprobs).take(piece.tokens.end).skip(piece.tokens.start);
    let text = weighed.filter(|(id, _)| **id < tokens.eot);
    text.map(|(&id, &logprob)| Logprob {
        token: tokens.decode(&[id]),
        // What adds up to a little more than 1 is certain.
        logprob: logprob.min(0.0),
        bytes: tokens.bytes(id).to_vec(),
    })
    .collect()
}

/// To hundredths of a second, as they were counted.
fn round(segment: &mut Segment) {
    let round = |seconds: &mut f64| *seconds = (*seconds * 100.0).round() / 100.0;
    round(&mut segment.start);
    round(&mut segment.end);
    for word in &mut segment.words {
        round(&mut word.start);
        round(&mut word.end);
    }
}
