//! What the library answers, and what that is in the words of the contract.

use serde::Deserialize;

use crate::speech::{Alternative, Part, Segment, Word};

/// `{"text", "result"?}`, or of several alternatives `{"alternatives": [{"text", "confidence", "result"?}]}`.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    text: String,
    #[serde(default)]
    result: Vec<KaldiWord>,
    #[serde(default)]
    alternatives: Vec<Reading>,
}

/// A word.
#[derive(Clone, Debug, Deserialize)]
struct KaldiWord {
    word: String,
    /// Seconds.
    start: f64,
    end: f64,
    /// How sure it is; it says so only where there are no alternatives.
    conf: Option<f32>,
}

/// What a stretch may have been.
#[derive(Debug, Deserialize)]
struct Reading {
    text: String,
    /// The logarithm of a likelihood.
    confidence: f64,
    #[serde(default)]
    result: Vec<KaldiWord>,
}

#[derive(Deserialize)]
struct Partial {
    #[serde(default)]
    partial: String,
}

/// Where a stretch of speech stands in its recording.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// How many were before.
    pub id: usize,
    /// Seconds, where the words do not say it.
    pub end: f64,
    /// Whether words are wanted.
    pub words: bool,
}

/// What a stretch seems to be so far.
pub fn partial(json: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str(json).map(|Partial { partial }| partial)
}

/// What a stretch was; `None`: nothing was said.
pub fn segment(json: &str, place: Place) -> Result<Option<Segment>, serde_json::Error> {
    let answer: Answer = serde_json::from_str(json)?;
    let posteriors = posteriors(&answer.alternatives);
    let (text, heard): (&str, Vec<Word>) = match answer.alternatives.first() {
        Some(best) => (&best.text, words_of(best, &answer.alternatives, &posteriors)),
        None => (&answer.text, answer.result.iter().map(|heard| word(heard, heard.conf.unwrap_or(1.0))).collect()),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let sure: f32 = heard.iter().map(|word| word.probability.max(f32::MIN_POSITIVE).ln()).sum();
    let alternatives = answer.alternatives.iter().zip(&posteriors);
    Ok(Some(Segment {
        id: place.id,
        seek: 0,
        start: heard.first().map_or(place.end, |word| word.start),
        end: heard.last().map_or(place.end, |word| word.end),
        // Texts of stretches follow one another.
        text: format!(" {}", text.trim()),
        tokens: Vec::new(),
        temperature: 0.0,
        avg_logprob: if heard.is_empty() { 0.0 } else { sure / heard.len() as f32 },
        compression_ratio: 0.0,
        no_speech_prob: 0.0,
        part: Part::WHOLE,
        speaker: None,
        words: if place.words { heard } else { Vec::new() },
        logprobs: Vec::new(),
        alternatives: alternatives
            .map(|(reading, posterior)| Alternative { text: reading.text.trim().to_owned(), confidence: *posterior })
            .collect(),
    }))
}

fn word(heard: &KaldiWord, probability: f32) -> Word {
    let probability = probability.clamp(0.0, 1.0);
    Word { word: heard.word.clone(), start: heard.start, end: heard.end, probability, part: Part::WHOLE, speaker: None }
}

/// How likely each alternative is among all of them.
fn posteriors(readings: &[Reading]) -> Vec<f32> {
    let best = readings.iter().map(|reading| reading.confidence).fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = readings.iter().map(|reading| (reading.confidence - best).exp()).collect();
    let all: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / all) as f32).collect()
}

/// The words of the best alternative. How sure each is the library does not say: as likely as the alternatives that have the
/// same word at the same time (word posteriors over an n-best list).
fn words_of(best: &Reading, all: &[Reading], posteriors: &[f32]) -> Vec<Word> {
    let probability = |heard: &KaldiWord| {
        let has = |reading: &Reading| {
            let same =
                |other: &KaldiWord| other.word == heard.word && other.start < heard.end && heard.start < other.end;
            reading.result.iter().any(same)
        };
        all.iter().zip(posteriors).filter(|(reading, _)| has(reading)).map(|(_, posterior)| posterior).sum()
    };
    best.result.iter().map(|heard| word(heard, probability(heard))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { id: 2, end: 9.0, words: true };

    #[test]
    fn a_stretch_has_its_words_with_times_and_how_sure_they_are() {
        let json = r#"{"result": [{"conf": 1.0, "end": 1.5, "start": 1.0, "word": "good"},
            {"conf": 0.25, "end": 2.0, "start": 1.5, "word": "morning"}], "text": "good morning"}"#;
        let heard = segment(json, PLACE).unwrap().unwrap();
        assert_eq!((heard.text.as_str(), heard.id, heard.start, heard.end), (" good morning", 2, 1.0, 2.0));
        assert_eq!((heard.words.len(), heard.words[1].probability), (2, 0.25));
        assert!((heard.avg_logprob - 0.5 * 0.25_f32.ln()).abs() < 1e-6);
        let wordless = segment(json, Place { words: false, ..PLACE }).unwrap().unwrap();
        assert!(wordless.words.is_empty() && wordless.end == 2.0);
    }

    #[test]
    fn alternatives_share_what_is_certain() {
        let json = r#"{"alternatives": [
            {"confidence": 100.0, "text": "two words", "result": [{"start": 0.0, "end": 1.0, "word": "two"},
             {"start": 1.0, "end": 2.0, "word": "words"}]},
            {"confidence": 100.0, "text": "to words", "result": [{"start": 0.0, "end": 1.0, "word": "to"},
             {"start": 1.1, "end": 2.0, "word": "words"}]}]}"#;
        let heard = segment(json, PLACE).unwrap().unwrap();
        assert_eq!(heard.text, " two words");
        let alternatives: Vec<_> = heard.alternatives.iter().map(|it| (it.text.as_str(), it.confidence)).collect();
        assert_eq!(alternatives, [("two words", 0.5), ("to words", 0.5)]);
        assert_eq!((heard.words[0].probability, heard.words[1].probability), (0.5, 1.0));
    }

    #[test]
    fn nothing_is_no_stretch_and_what_is_no_answer_is_an_error() {
        for nothing in [r#"{"text": ""}"#, r#"{"alternatives": [{"text": "", "confidence": 1.0}]}"#, "{}"] {
            assert_eq!(segment(nothing, PLACE).unwrap(), None, "{nothing}");
        }
        assert!(segment("{\"text\": 5}", PLACE).is_err() && segment("", PLACE).is_err());
        assert_eq!(partial(r#"{"partial": "good mor"}"#).unwrap(), "good mor");
    }
}
