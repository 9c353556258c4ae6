//! The knobs of this family: `options` of a request.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fallback::Thresholds;
use crate::model::RequestError;

/// Names of openai-whisper and faster-whisper that mean something, and that this family cannot do yet, with the value by
/// which nothing is asked for.
const NOT_YET: [(&str, f64); 7] = [
    ("beam_size", 1.0),
    ("best_of", 1.0),
    ("patience", 1.0),
    ("length_penalty", 1.0),
    ("repetition_penalty", 1.0),
    ("no_repeat_ngram_size", 0.0),
    ("hallucination_silence_threshold", 0.0),
];

/// Names and defaults are openai-whisper's. `null` turns a threshold off.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WhisperOptions {
    /// Whether a window is told what the one before it said.
    pub condition_on_previous_text: bool,
    /// A text that zlib shrinks by more than this goes in circles: decoded anew at a higher temperature.
    pub compression_ratio_threshold: Option<f32>,
    /// A text whose tokens have a lower mean log-probability is doubted: decoded anew at a higher temperature.
    #[serde(alias = "log_prob_threshold")]
    pub logprob_threshold: Option<f32>,
    /// A doubted text whose window is likelier than this to hold no speech is left out.
    pub no_speech_threshold: Option<f32>,
    /// Of the dice at temperatures above 0. The same request with the same seed gives the same text.
    pub seed: u64,
}

impl Default for WhisperOptions {
    fn default() -> Self {
        Self {
            condition_on_previous_text: true,
            compression_ratio_threshold: Some(2.4),
            logprob_threshold: Some(-1.0),
            no_speech_threshold: Some(0.6),
            seed: 0,
        }
    }
}

// === impl WhisperOptions ===

impl WhisperOptions {
    pub fn parse(given: &Map<String, Value>) -> Result<Self, RequestError> {
        let unsupported = |message| Err(RequestError::Unsupported { param: "options", message });
        let mut given = given.clone();
        for (name, nothing) in NOT_YET {
            if given.remove(name).is_some_and(|value| !value.is_null() && value.as_f64() != Some(nothing)) {
                let why = "decoding is greedy, with temperature fall-back";
                return unsupported(format!("the option {name} is not supported: {why}; leave it out"));
            }
        }
        if given.remove("hotwords").is_some_and(|words| !words.is_null()) {
            return unsupported("the option hotwords is not supported; put the words into the prompt".to_owned());
        }
        if given.remove("suppress_blank").is_some_and(|value| value == Value::Bool(false)) {
            return unsupported("the option suppress_blank is always on; leave it out".to_owned());
        }
        serde_json::from_value(Value::Object(given))
            .map_err(|error| RequestError::Invalid { param: "options", message: format!("options: {error}") })
    }

    pub fn thresholds(&self) -> Thresholds {
        Thresholds {
            compression_ratio: self.compression_ratio_threshold,
            logprob: self.logprob_threshold,
            no_speech: self.no_speech_threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(given: Value) -> Result<WhisperOptions, RequestError> {
        WhisperOptions::parse(given.as_object().unwrap())
    }

    #[test]
    fn what_is_absent_is_as_in_openai_whisper_and_null_turns_off() {
        assert_eq!(parse(json!({})), Ok(WhisperOptions::default()));
        let given = parse(json!({"logprob_threshold": null, "seed": 3})).unwrap();
        assert_eq!(given, WhisperOptions { logprob_threshold: None, seed: 3, ..WhisperOptions::default() });
    }

    #[test]
    fn an_unknown_option_is_named_together_with_the_known_ones() {
        let error = parse(json!({"sed": 3})).unwrap_err();
        let RequestError::Invalid { param: "options", message } = error else { panic!("{error:?}") };
        for part in ["`sed`", "`seed`", "`condition_on_previous_text`"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_wrong_type_is_refused() {
        assert!(matches!(parse(json!({"seed": "x"})), Err(RequestError::Invalid { param: "options", .. })));
    }

    #[test]
    fn beam_search_is_refused_by_name() {
        let error = parse(json!({"beam_size": 5})).unwrap_err();
        assert!(
            matches!(&error, RequestError::Unsupported { message, .. } if message.contains("beam_size")),
            "{error:?}"
        );
        let greedy = json!({"beam_size": 1, "best_of": null, "repetition_penalty": 1.0, "log_prob_threshold": -2.0});
        assert_eq!(
            parse(greedy).unwrap(),
            WhisperOptions { logprob_threshold: Some(-2.0), ..WhisperOptions::default() }
        );
    }
}
