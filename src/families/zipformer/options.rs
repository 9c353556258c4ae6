//! What a caller asked, checked against what the model can do.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    families::named_language,
    model::{Knob, RequestError},
    speech::{Timestamps, TranscribeMode, TranscribeOptions},
};

/// What there is to say of [`Knobs`].
pub const KNOBS: &[Knob] = &[Knob::number(
    "blank_penalty",
    0.0,
    10.0,
    "0",
    "By how much silence is less likely than the model says: where it leaves words out, 1 or 2 bring some back",
)];
const PENALTIES: std::ops::RangeInclusive<f32> = 0.0..=10.0;

/// The knobs of this family: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Knobs {
    blank_penalty: f32,
}

/// How is heard, and what is told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecodingOptions {
    pub blank_penalty: f32,
    /// Whether each word is told.
    pub words: bool,
}

// === impl DecodingOptions ===

impl DecodingOptions {
    /// `language`: of the model, where somebody said it.
    pub fn of(asked: &TranscribeOptions, language: Option<&'static str>) -> Result<Self, RequestError> {
        let refused = |param, message: &str| Err(RequestError::Unsupported { param, message: message.to_owned() });
        if asked.mode == TranscribeMode::Translate {
            return refused("task", "this model writes down what is said and does not translate; a Whisper does");
        }
        if asked.prompt.as_deref().is_some_and(|prompt| !prompt.trim().is_empty()) {
            return refused("prompt", "this model takes no prompt; a Whisper does");
        }
        if asked.temperature.is_some_and(|temperature| temperature != 0.0) {
            return refused("temperature", "this model takes the likeliest symbol each time; 0 would be right");
        }
        if asked.logprobs {
            return refused("include", "this model does not tell its tokens; its words say how sure it is of them");
        }
        named_language::check(asked.language.as_deref(), language)?;
        let invalid = |message| RequestError::Invalid { param: "options", message };
        let knobs = Knobs::deserialize(Value::Object(asked.options.clone()))
            .map_err(|error| invalid(format!("options: {error}")))?;
        if !PENALTIES.contains(&knobs.blank_penalty) {
            let (low, high) = (PENALTIES.start(), PENALTIES.end());
            return Err(invalid(format!("blank_penalty is {}; {low} to {high} would be right", knobs.blank_penalty)));
        }
        Ok(Self { blank_penalty: knobs.blank_penalty, words: asked.timestamps == Timestamps::Word })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let usual = TranscribeOptions::default;
        let with = |options: Value| {
            let Value::Object(options) = options else { panic!() };
            TranscribeOptions { options, ..usual() }
        };
        let words = TranscribeOptions { timestamps: Timestamps::Word, ..with(json!({"blank_penalty": 1.5})) };
        assert_eq!(
            DecodingOptions::of(&words, Some("ru")).unwrap(),
            DecodingOptions { blank_penalty: 1.5, words: true }
        );
        for (asked, said) in [
            (TranscribeOptions { mode: TranscribeMode::Translate, ..usual() }, "does not translate"),
            (TranscribeOptions { prompt: Some("Sconce".to_owned()), ..usual() }, "takes no prompt"),
            (TranscribeOptions { temperature: Some(0.5), ..usual() }, "0 would be right"),
            (TranscribeOptions { logprobs: true, ..usual() }, "does not tell its tokens"),
            (TranscribeOptions { language: Some("en".to_owned()), ..usual() }, "this model hears Russian (ru), not en"),
            (with(json!({"blank_penalty": 11})), "blank_penalty is 11; 0 to 10 would be right"),
            (with(json!({"grammar": ["one"]})), "unknown field `grammar`"),
            (with(json!({"blank_penalty": "much"})), "invalid type"),
        ] {
            let error = DecodingOptions::of(&asked, Some("ru")).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
    }

    #[test]
    fn what_is_told_of_options_is_what_is_read() {
        crate::families::fixtures::assert_told::<Knobs>(KNOBS, &[]);
    }
}
