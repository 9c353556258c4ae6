//! How a client is heard.

use serde_json::{Map, Value, json};

use super::client::Config;
use crate::{
    audio::VoiceActivity,
    catalog::Catalog,
    http::problem::Problem,
    model::Family,
    service::live::LiveAsk,
    speech::{TaskKind, Timestamps, TranscribeOptions},
};

/// Hertz where nobody says, as in Vosk's server.
const USUAL_RATE: u32 = 8000;
const RATES: std::ops::RangeInclusive<f64> = 8000.0..=48_000.0;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Hertz.
    pub rate: u32,
    pub model: Option<String>,
    /// `None`: nobody said, so that words come where the model tells them.
    pub words: Option<bool>,
    pub max_alternatives: u16,
    pub phrases: Vec<String>,
}

/// A rate that somebody named, in hertz.
pub(super) fn rate(given: f64) -> Result<u32, Problem> {
    if RATES.contains(&given) && given.fract() == 0.0 {
        return Ok(given as u32);
    }
    let (low, high) = (RATES.start(), RATES.end());
    Err(Problem::invalid("sample_rate", format!("sample_rate is {given}; {low} to {high} would be right")))
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self { rate: USUAL_RATE, model: None, words: None, max_alternatives: 0, phrases: Vec::new() }
    }
}

impl Settings {
    /// The same with what a client wants otherwise.
    pub fn updated(&self, config: Config) -> Result<Self, Problem> {
        let Config { sample_rate, words, max_alternatives, phrase_list, model } = config;
        Ok(Self {
            rate: sample_rate.map_or(Ok(self.rate), rate)?,
            model: model.filter(|model| !model.is_empty()).or_else(|| self.model.clone()),
            words: words.map(bool::from).or(self.words),
            max_alternatives: max_alternatives.unwrap_or(self.max_alternatives),
            phrases: phrase_list.unwrap_or_else(|| self.phrases.clone()),
        })
    }

    /// As the service is asked for it. What a model has no knob for is said to it in another way, or left to be made up for.
    pub fn ask(&self, catalog: &Catalog) -> LiveAsk {
        let entry = catalog.resolve_for(self.model.as_deref(), TaskKind::Transcribe);
        let family = entry.ok().and_then(|entry| entry.family);
        let knows = |knob: &str| family.is_some_and(|family| family.knobs().iter().any(|known| known.name == knob));
        let (mut options, mut prompt) = (Map::new(), None);
        let mut set = |knob: &str, value: Value| {
            if knows(knob) {
                options.insert(knob.to_owned(), value);
            }
        };
        if self.max_alternatives > 0 {
            set("max_alternatives", json!(self.max_alternatives));
        }
        if !self.phrases.is_empty() {
            set("grammar", json!(self.phrases));
            // Vosk's server says so in its log alone.
            set("skip_unknown", json!(true));
            prompt = (!knows("grammar")).then(|| self.phrases.join(", "));
        }
        let timestamps = if self.tells_words(family) { Timestamps::Word } else { Timestamps::Segment };
        let options = TranscribeOptions { timestamps, prompt, options, ..TranscribeOptions::default() };
        let detection = Some(VoiceActivity::default());
        LiveAsk { rate: self.rate, detection, model: self.model.clone(), options }
    }

    fn tells_words(&self, family: Option<&'static dyn Family>) -> bool {
        self.words.unwrap_or_else(|| family.is_some_and(|family| family.tells_words()))
    }
}
