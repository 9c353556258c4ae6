//! What is written so far, cut into sentences, so that each can be read as soon as it is whole. The model tells no times,
//! so each of them is said to be somewhere in the recording.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

use super::options::TranscriptionOptions;
use crate::speech::{Logprob, Part, Segment};

/// Bytes after which a text without a full stop is cut at the next word.
const LONG: usize = 160;
/// Bytes after which it is cut wherever a character ends.
const TOO_LONG: usize = 640;

/// The sentence that is being written, and how many there were.
#[derive(Debug, Default)]
pub struct Sentences {
    finished: usize,
    bytes: Vec<u8>,
    tokens: Vec<u32>,
    logprobs: Vec<Logprob>,
    /// Of all tokens.
    logprob_sum: f32,
}

// === impl Sentences ===

impl Sentences {
    /// Takes the next token, with the bytes that it stands for; gives the sentence before it if that is whole.
    pub fn push(&mut self, token: u32, bytes: &[u8], logprob: f32, options: &TranscriptionOptions) -> Option<Segment> {
        let sentence = if self.ends_before(bytes) { self.finish(options) } else { None };
        self.tokens.push(token);
        self.bytes.extend_from_slice(bytes);
        self.logprob_sum += logprob;
        if options.logprobs && !bytes.is_empty() {
            let token = String::from_utf8_lossy(bytes).into_owned();
            self.logprobs.push(Logprob { token, logprob, bytes: bytes.to_vec() });
        }
        sentence
    }

    /// What was not given out yet; nothing if there is no text in it.
    pub fn finish(&mut self, options: &TranscriptionOptions) -> Option<Segment> {
        let Self { finished, bytes, tokens, logprobs, logprob_sum } = std::mem::take(self);
        self.finished = finished;
        if bytes.is_empty() {
            return None;
        }
        self.finished += 1;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(Segment {
            id: finished,
            seek: 0,
            start: 0.0,
            end: options.duration,
            temperature: options.temperature,
            avg_logprob: logprob_sum / tokens.len() as f32,
            compression_ratio: compression_ratio(&text),
            // The model does not say.
            no_speech_prob: 0.0,
            part: Part::WHOLE,
            speaker: None,
            text,
            tokens,
            words: Vec::new(),
            logprobs,
            alternatives: Vec::new(),
        })
    }

    fn ends_before(&self, next: &[u8]) -> bool {
        if self.bytes.len() > TOO_LONG && is_whole(&self.bytes) {
            return true;
        }
        let ends = |marks: &[&str]| marks.iter().any(|mark| self.bytes.ends_with(mark.as_bytes()));
        let word = next.first().is_some_and(u8::is_ascii_whitespace);
        ends(&["。", "？", "！"]) || word && (ends(&[".", "?", "!", "…", "।"]) || self.bytes.len() > LONG)
    }
}

/// Whether no character is cut at the end.
fn is_whole(bytes: &[u8]) -> bool {
    let begins = |byte: &u8| byte & 0xC0 != 0x80;
    let last = bytes.iter().rposition(begins).map_or(&[][..], |at| &bytes[at..]);
    // What is no character at all will not become one.
    std::str::from_utf8(last).map_or_else(|error| error.error_len().is_some(), |_| true)
}

/// How much shorter a text gets by zlib at its default level, as Whisper's segments have it.
fn compression_ratio(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    compressed.map_or(0.0, |compressed| (text.len() as f64 / compressed.len() as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> TranscriptionOptions {
        TranscriptionOptions {
            windows: 1,
            duration: 2.5,
            language: None,
            temperature: 0.0,
            logprobs: true,
            max_new_tokens: 448,
            seed: 0,
        }
    }

    fn cut(pieces: &[&[u8]]) -> Vec<Segment> {
        let (mut sentences, options) = (Sentences::default(), options());
        let mut all: Vec<Segment> = pieces
            .iter()
            .enumerate()
            .filter_map(|(at, bytes)| sentences.push(at as u32, bytes, -0.5, &options))
            .collect();
        all.extend(sentences.finish(&options));
        all
    }

    fn texts(pieces: &[&[u8]]) -> Vec<String> {
        cut(pieces).into_iter().map(|segment| segment.text).collect()
    }

    #[test]
    fn a_sentence_ends_where_a_new_word_begins_after_its_stop() {
        assert_eq!(texts(&[b" It", b" is", b" 7.", b"30", b".", b" Well", b"?"]), [" It is 7.30.", " Well?"]);
        assert_eq!(texts(&["是。".as_bytes(), "不".as_bytes()]), ["是。", "不"]);
        assert_eq!(texts(&[]), [""; 0]);
        assert_eq!(texts(&[b"", b""]), [""; 0], "special tokens are no text");
    }

    #[test]
    fn without_stops_it_is_cut_at_a_word_and_at_last_at_a_character() {
        let words = [&b" word"[..]; 100];
        let found = texts(&words);
        assert!(found.len() > 2 && found.iter().all(|text| text.len() <= LONG + 5), "{found:?}");
        assert_eq!(found.concat(), " word".repeat(100));
        let halves: Vec<&[u8]> = "é".as_bytes().chunks(1).cycle().take(2000).collect();
        let found = texts(&halves);
        assert!(found.len() > 2, "{found:?}");
        assert_eq!(found.concat(), "é".repeat(1000));
    }

    #[test]
    fn every_token_is_told_once_with_its_probability() {
        let found = cut(&[b"a.", b" \xe2\x82", b"\xac", b""]);
        assert_eq!(found.iter().map(|segment| segment.id).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(found.iter().flat_map(|segment| segment.tokens.clone()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(found[1].text, " €");
        let bytes: Vec<u8> = found[1].logprobs.iter().flat_map(|logprob| logprob.bytes.clone()).collect();
        assert_eq!(bytes, " €".as_bytes());
        assert_eq!((found[0].start, found[0].end, found[0].avg_logprob), (0.0, 2.5, -0.5));
    }
}
