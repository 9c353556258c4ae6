//! What was heard, as Vosk writes it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::speech::{Problem, Segment, Word};

/// What was heard between two pauses, or in all of them that nobody was told of yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RecognitionResult {
    text: String,
    words: Vec<Word>,
    /// Texts and how sure they are, the likeliest first.
    readings: Vec<(String, f32)>,
    /// Why there is no text.
    problem: Option<String>,
}

// === impl RecognitionResult ===

impl RecognitionResult {
    /// `at`: where the item begins.
    pub fn new(segments: &[Segment], at: Duration) -> Self {
        let text: String = segments.iter().map(|segment| segment.text.as_str()).collect();
        let words = segments.iter().flat_map(|segment| &segment.words).map(|word| placed(word, at.as_secs_f64()));
        let readings = match segments {
            [one] => one.alternatives.iter().map(|it| (it.text.clone(), it.confidence)).collect(),
            _ => Vec::new(),
        };
        Self { text: text.trim().to_owned(), words: words.collect(), readings, problem: None }
    }

    pub fn failed(problem: &Problem) -> Self {
        Self { problem: Some(problem.message.clone()), ..Self::default() }
    }

    /// Nobody wants to be told of it.
    pub fn is_nothing(&self) -> bool {
        self.text.is_empty() && self.problem.is_none()
    }

    /// One after the other.
    pub fn joined(all: impl IntoIterator<Item = Self>) -> Self {
        let mut all = all.into_iter();
        let first = all.next().unwrap_or_default();
        all.fold(first, |mut before, next| {
            before.text = format!("{} {}", before.text, next.text).trim().to_owned();
            before.words.extend(next.words);
            before.readings.clear();
            before.problem = before.problem.or(next.problem);
            before
        })
    }

    /// `{"result"?, "text"}`; or, of a client that wants alternatives, `{"alternatives": [{"confidence", "result"?, "text"}]}`.
    pub fn shown(&self, alternatives: bool) -> Value {
        let mut shown = match (alternatives, self.readings.as_slice()) {
            (false, _) => self.reading(&self.text, None, true),
            (true, []) => json!({"alternatives": [self.reading(&self.text, Some(1.0), true)]}),
            (true, readings) => {
                let each = readings.iter().enumerate();
                let each = each.map(|(at, (text, sure))| self.reading(text, Some(*sure), at == 0));
                json!({"alternatives": each.collect::<Vec<_>>()})
            }
        };
        if let Some(problem) = &self.problem {
            shown["error"] = problem.as_str().into();
        }
        shown
    }

    fn reading(&self, text: &str, confidence: Option<f32>, with_words: bool) -> Value {
        let mut reading = json!({});
        if let Some(confidence) = confidence {
            reading["confidence"] = rounded(f64::from(confidence));
        }
        if with_words && !self.words.is_empty() {
            reading["result"] = self.words.iter().map(|word| shown_word(word, confidence.is_none())).collect();
        }
        reading["text"] = text.into();
        reading
    }
}

/// In times of the session.
fn placed(word: &Word, at: f64) -> Word {
    Word { start: word.start + at, end: word.end + at, word: word.word.trim().to_owned(), ..word.clone() }
}

fn shown_word(word: &Word, with_confidence: bool) -> Value {
    let mut shown = json!({});
    if with_confidence {
        shown["conf"] = rounded(f64::from(word.probability));
    }
    shown["end"] = rounded(word.end);
    shown["start"] = rounded(word.start);
    shown["word"] = word.word.as_str().into();
    shown
}

/// As finely as Vosk writes.
fn rounded(number: f64) -> Value {
    json!((number * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::{Alternative, Part};

    fn segment(text: &str, start: f64, alternatives: &[(&str, f32)]) -> Segment {
        let word = Word {
            word: format!(" {text}"),
            start,
            end: start + 0.5,
            probability: 0.75,
            part: Part::WHOLE,
            speaker: None,
        };
        let alternative =
            |(text, confidence): &(&str, f32)| Alternative { text: (*text).to_owned(), confidence: *confidence };
        Segment {
            id: 0,
            seek: 0,
            start,
            end: start + 0.5,
            text: format!(" {text}"),
            tokens: vec![],
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 0.0,
            no_speech_prob: 0.0,
            part: Part::WHOLE,
            speaker: None,
            words: vec![word],
            logprobs: vec![],
            alternatives: alternatives.iter().map(alternative).collect(),
        }
    }

    #[test]
    fn words_stand_where_they_are_in_the_session() {
        let heard = RecognitionResult::new(
            &[segment("good", 0.25, &[]), segment("morning", 1.0, &[])],
            Duration::from_secs(10),
        );
        let word = |word, start: f64| json!({"conf": 0.75, "end": start + 0.5, "start": start, "word": word});
        let want = json!({"result": [word("good", 10.25), word("morning", 11.0)], "text": "good morning"});
        assert_eq!(heard.shown(false), want);
    }

    #[test]
    fn alternatives_come_in_their_order() {
        let heard = RecognitionResult::new(&[segment("two", 0.0, &[("two", 0.75), ("too", 0.25)])], Duration::ZERO);
        let shown = heard.shown(true);
        assert_eq!(shown["alternatives"][0]["result"], json!([{"end": 0.5, "start": 0.0, "word": "two"}]));
        assert_eq!(shown["alternatives"][1], json!({"confidence": 0.25, "text": "too"}));
        let other = RecognitionResult::new(&[segment("two", 0.0, &[])], Duration::ZERO);
        assert_eq!(other.shown(true)["alternatives"].as_array().map(Vec::len), Some(1), "of a model that tells none");
    }

    #[test]
    fn what_nobody_was_told_of_is_told_at_once() {
        let one = |text| RecognitionResult::new(&[segment(text, 0.0, &[])], Duration::ZERO);
        let joined = RecognitionResult::joined([one("good"), one("morning")]);
        assert_eq!((joined.text.as_str(), joined.words.len()), ("good morning", 2));
        assert_eq!(RecognitionResult::joined([]).shown(false), json!({"text": ""}));
        assert!(RecognitionResult::new(&[], Duration::ZERO).is_nothing());
    }
}
