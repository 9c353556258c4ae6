//! The knobs of this family: `options` of a request.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{fallback::Thresholds, filters::RepetitionRules, search::SearchOptions};
use crate::model::{ANY, Knob, KnobValues, RequestError};

/// What `options` may hold.
pub const KNOBS: &[Knob] = &[
    Knob::count("beam_size", 1.0, "1", "Texts that are followed side by side at temperature 0, up to max_batch"),
    Knob::positive("patience", "1", "A beam stops after so many times its size of finished texts"),
    Knob::new(
        "length_penalty",
        KnobValues::Number(ANY, ANY),
        "1",
        "The power of its length that a text's log-probability is divided by",
    ),
    Knob::count("best_of", 1.0, "1", "Texts that are drawn at temperatures above 0, up to max_batch"),
    Knob::positive("repetition_penalty", "1", "Above 1: tokens that a window has already become less likely"),
    Knob::count(
        "no_repeat_ngram_size",
        0.0,
        "0",
        "Of so many tokens in a row none comes twice in a window; 0: all may",
    ),
    Knob::new(
        "hotwords",
        KnobValues::Text,
        "none",
        "Words that each window is told before the text of the one before it",
    ),
    Knob::truth("condition_on_previous_text", "true", "Whether a window is told what the one before it said"),
    Knob::new(
        "compression_ratio_threshold",
        KnobValues::Number(ANY, ANY),
        "2.4",
        "A text that zlib shrinks by more is decoded anew",
    )
    .or_null(),
    Knob::new(
        "logprob_threshold",
        KnobValues::Number(ANY, ANY),
        "-1",
        "A text that is less likely, by token, is decoded anew",
    )
    .or_null(),
    Knob::new(
        "no_speech_threshold",
        KnobValues::Number(ANY, ANY),
        "0.6",
        "A doubted text is left out where silence is likelier than this",
    )
    .or_null(),
    Knob::new(
        "hallucination_silence_threshold",
        KnobValues::Number(ANY, ANY),
        "null",
        "Seconds: text that is no speech is left out between longer silences",
    )
    .or_null(),
    Knob::whole(
        "audio_ctx",
        0.0,
        1500.0,
        "0",
        "Positions of 20 ms that the encoder sees of a window, at least; 0: all",
    ),
    Knob::count("seed", 0.0, "0", "Of the dice at temperatures above 0"),
];

/// Names and defaults are openai-whisper's and, where it has none, faster-whisper's. `null` turns a threshold off, and is
/// the default elsewhere.
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
    /// Texts that are followed side by side at temperature 0. Each takes a row of `max_batch`.
    pub beam_size: Option<usize>,
    /// Texts that are drawn at temperatures above 0, of which the likeliest is kept. Each takes a row of `max_batch`.
    pub best_of: Option<usize>,
    /// A beam stops after so many times its size of finished texts.
    pub patience: Option<f32>,
    /// A text's log-probability is divided by its length to this power before it is compared.
    pub length_penalty: Option<f32>,
    /// Makes tokens that a window has already less likely, above 1.
    pub repetition_penalty: Option<f32>,
    /// Of so many tokens in a row none comes twice in a window; 0: all may.
    pub no_repeat_ngram_size: Option<usize>,
    /// Words that each window is told before the text of the one before it.
    pub hotwords: Option<String>,
    /// Seconds of silence around a text that is no speech, beyond which it is left out. Words are timed for that.
    pub hallucination_silence_threshold: Option<f64>,
    /// Positions of 20 ms that the encoder sees of a window, at least; never fewer than hold its sound. 0: all, as the model
    /// was trained. whisper.cpp's name.
    pub audio_ctx: usize,
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
            beam_size: None,
            best_of: None,
            patience: None,
            length_penalty: None,
            repetition_penalty: None,
            no_repeat_ngram_size: None,
            hotwords: None,
            hallucination_silence_threshold: None,
            audio_ctx: 0,
            seed: 0,
        }
    }
}

// === impl WhisperOptions ===

impl WhisperOptions {
    pub fn parse(given: &Map<String, Value>) -> Result<Self, RequestError> {
        let unsupported =
            |message: &str| Err(RequestError::Unsupported { param: "options", message: message.to_owned() });
        let invalid =
            |message: String| RequestError::Invalid { param: "options", message: format!("options: {message}") };
        let mut given = given.clone();
        if given.remove("suppress_blank").is_some_and(|value| value == Value::Bool(false)) {
            return unsupported("the option suppress_blank is always on; leave it out");
        }
        let options: Self = serde_json::from_value(Value::Object(given)).map_err(|error| invalid(error.to_string()))?;
        options.check().map_err(invalid)?;
        Ok(options)
    }

    /// Ranges in which there is a text to be found.
    fn check(&self) -> Result<(), String> {
        for (name, count) in [("beam_size", self.beam_size), ("best_of", self.best_of)] {
            if count == Some(0) {
                return Err(format!("{name} is 0, and must be 1 or more"));
            }
        }
        for (name, number) in [("patience", self.patience), ("repetition_penalty", self.repetition_penalty)] {
            if let Some(number) = number.filter(|number| !(number.is_finite() && *number > 0.0)) {
                return Err(format!("{name} is {number}, and must be above 0"));
            }
        }
        match self.length_penalty.filter(|number| !number.is_finite()) {
            Some(number) => Err(format!("length_penalty is {number}, and must be a number")),
            None => Ok(()),
        }
    }

    pub fn search(&self) -> SearchOptions {
        SearchOptions {
            beam_size: self.beam_size.unwrap_or(1),
            patience: self.patience.unwrap_or(1.0),
            best_of: self.best_of.unwrap_or(1),
            length_penalty: self.length_penalty.unwrap_or(1.0),
        }
    }

    pub fn repetition(&self) -> RepetitionRules {
        RepetitionRules {
            penalty: self.repetition_penalty.unwrap_or(1.0),
            no_repeat_ngram_size: self.no_repeat_ngram_size.unwrap_or(0),
        }
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
    fn null_is_as_if_it_was_left_out() {
        let greedy =
            json!({"beam_size": null, "best_of": null, "hotwords": null, "hallucination_silence_threshold": null});
        assert_eq!(parse(greedy).unwrap(), WhisperOptions::default());
        let given = parse(json!({"beam_size": 5, "patience": 2, "log_prob_threshold": -2.0})).unwrap();
        let search = SearchOptions { beam_size: 5, patience: 2.0, best_of: 1, length_penalty: 1.0 };
        assert_eq!((given.search(), given.logprob_threshold), (search, Some(-2.0)));
    }

    #[test]
    fn what_finds_no_text_is_refused_with_what_would_be_right() {
        for (given, expected) in [
            (json!({"beam_size": 0}), "options: beam_size is 0, and must be 1 or more"),
            (json!({"best_of": 0}), "options: best_of is 0, and must be 1 or more"),
            (json!({"patience": 0.0}), "options: patience is 0, and must be above 0"),
            (json!({"repetition_penalty": -1.0}), "options: repetition_penalty is -1, and must be above 0"),
            (json!({"length_penalty": 1e39}), "options: length_penalty is inf, and must be a number"),
        ] {
            let error = parse(given).unwrap_err();
            assert_eq!(error, RequestError::Invalid { param: "options", message: expected.to_owned() });
        }
    }

    #[test]
    fn what_is_told_of_options_is_what_is_read() {
        crate::families::fixtures::assert_told::<WhisperOptions>(KNOBS, &["log_prob_threshold"]);
    }
}
