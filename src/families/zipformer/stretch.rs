//! Symbols with their times, put together to words, and words to stretches of speech.

use super::{search::Said, tokens::Tokens};
use crate::speech::{Part, Segment, Word};

/// Seconds of silence that end a stretch.
const PAUSE: f64 = 1.0;
/// Seconds after which a stretch ends with its word.
const LONGEST: f64 = 20.0;
/// Seconds that the last symbol of a word lasts, at most: a transducer tells when it begins to be sure of one, and not when
/// that ends.
const LASTS: f64 = 0.24;

/// A stretch of speech that is not over.
#[derive(Debug, Default)]
pub struct Stretch {
    said: Vec<(Said, f64)>,
}

// === impl Stretch ===

impl Stretch {
    /// A symbol, `at` so many seconds. The stretch before it, if that ends here.
    pub fn push(&mut self, said: Said, at: f64, tokens: &Tokens) -> Option<Self> {
        let over = tokens.begins_word(said.symbol) && self.said.first().is_some_and(|(_, first)| at - first >= LONGEST);
        let before = over.then(|| std::mem::take(self));
        self.said.push((said, at));
        before
    }

    /// It is so late, and nothing was said. The stretch, if that ends it.
    pub fn wait(&mut self, now: f64) -> Option<Self> {
        let over = self.said.last().is_some_and(|(_, last)| now - last >= PAUSE);
        over.then(|| std::mem::take(self))
    }

    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    pub fn text(&self, tokens: &Tokens) -> String {
        tokens.text(self.said.iter().map(|(said, _)| said.symbol)).trim().to_owned()
    }

    /// The number `id` of a recording that is `end` seconds long so far, heard in a window that begins at `seek`. `words`:
    /// whether they are told. `None`: it says nothing.
    pub fn segment(&self, tokens: &Tokens, id: usize, seek: usize, end: f64, words: bool) -> Option<Segment> {
        let all = self.words(tokens, end);
        let (first, last) = (all.first()?, all.last()?);
        let sum: f32 = self.said.iter().map(|(said, _)| said.logprob).sum();
        Some(Segment {
            id,
            seek,
            start: first.start,
            end: last.end,
            // Texts of stretches follow one another.
            text: format!(" {}", self.text(tokens)),
            tokens: self.said.iter().map(|(said, _)| said.symbol as u32).collect(),
            temperature: 0.0,
            avg_logprob: sum / self.said.len() as f32,
            compression_ratio: 0.0,
            no_speech_prob: 0.0,
            part: Part::WHOLE,
            speaker: None,
            words: if words { all } else { Vec::new() },
            logprobs: Vec::new(),
            alternatives: Vec::new(),
        })
    }

    fn words(&self, tokens: &Tokens, end: f64) -> Vec<Word> {
        let mut words: Vec<&[(Said, f64)]> = Vec::new();
        let mut rest = self.said.as_slice();
        while !rest.is_empty() {
            let next = rest[1..].iter().position(|(said, _)| tokens.begins_word(said.symbol));
            let (word, others) = rest.split_at(next.map_or(rest.len(), |next| next + 1));
            words.push(word);
            rest = others;
        }
        let starts = words.iter().skip(1).map(|word| word[0].1).chain([end]);
        let word = |(said, next): (&&[(Said, f64)], f64)| {
            let text = tokens.text(said.iter().map(|(said, _)| said.symbol)).trim().to_owned();
            let (start, last) = (said[0].1.min(end), said[said.len() - 1].1);
            // As sure as of all of its symbols together, by the geometric mean.
            let sum: f32 = said.iter().map(|(said, _)| said.logprob).sum();
            let probability = (sum / said.len() as f32).exp();
            (!text.is_empty()).then_some(Word {
                word: text,
                start,
                end: next.min(last + LASTS).max(start),
                probability,
                part: Part::WHOLE,
                speaker: None,
            })
        };
        words.iter().zip(starts).filter_map(word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens::read("tokens.txt", "<blk> 0\n▁при 1\nвет 2\n▁мир 3\n▁ 4\n".as_bytes()).unwrap()
    }

    fn said(symbol: usize) -> Said {
        Said { symbol, logprob: 0.5_f32.ln() }
    }

    #[test]
    fn words_have_times_and_how_sure_they_are() {
        let (tokens, mut stretch) = (tokens(), Stretch::default());
        for (symbol, at) in [(1, 1.0), (2, 1.2), (3, 1.3), (4, 3.0)] {
            assert!(stretch.push(said(symbol), at, &tokens).is_none());
        }
        let segment = stretch.segment(&tokens, 2, 0, 9.0, true).unwrap();
        assert_eq!((segment.text.as_str(), segment.id, segment.start), (" привет мир", 2, 1.0));
        let words: Vec<_> = segment.words.iter().map(|word| (word.word.as_str(), word.start, word.end)).collect();
        assert_eq!(words, [("привет", 1.0, 1.3), ("мир", 1.3, 1.3 + LASTS)]);
        assert!(segment.words.iter().all(|word| (word.probability - 0.5).abs() < 1e-6));
        assert_eq!((segment.tokens, segment.avg_logprob), (vec![1, 2, 3, 4], 0.5_f32.ln()));
        let wordless = stretch.segment(&tokens, 0, 0, 1.31, false).unwrap();
        assert!(wordless.words.is_empty());
    }

    #[test]
    fn a_pause_ends_a_stretch_and_so_does_a_word_after_long_speech() {
        let (tokens, mut stretch) = (tokens(), Stretch::default());
        assert!(stretch.wait(5.0).is_none() && stretch.is_empty());
        stretch.push(said(1), 1.0, &tokens);
        assert!(stretch.wait(1.9).is_none());
        assert_eq!(stretch.wait(2.0).unwrap().text(&tokens), "при");
        assert!(stretch.is_empty() && stretch.segment(&tokens, 0, 0, 1.0, true).is_none());
        stretch.push(said(1), 3.0, &tokens);
        assert!(stretch.push(said(2), 24.0, &tokens).is_none(), "inside of a word");
        assert_eq!(stretch.push(said(3), 24.1, &tokens).unwrap().text(&tokens), "привет");
        assert_eq!(stretch.text(&tokens), "мир");
    }
}
