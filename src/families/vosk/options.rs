//! What a caller asked, checked against what the model can do.

use std::ffi::CString;

use serde::Deserialize;
use serde_json::Value;

use super::api::Hearing;
use crate::{
    families::named_language,
    model::{Knob, KnobValues, RequestError},
    speech::{Timestamps, TranscribeMode, TranscribeOptions},
};

/// What there is to say of [`Knobs`].
pub const KNOBS: &[Knob] = &[
    Knob::whole(
        "max_alternatives",
        0.0,
        MOST_ALTERNATIVES as f64,
        "0",
        "How many texts each stretch of speech may be, the likeliest first; 0: the likeliest, without the others",
    ),
    Knob::new(
        "grammar",
        KnobValues::Other("a list of phrases"),
        "all that the model knows",
        "Nothing but these phrases is heard; `[unk]` stands for anything else. For models whose graph is in two files",
    ),
    Knob::truth(
        "skip_unknown",
        "false",
        "Whether words of the grammar that the model does not know are passed over; else they are refused by name",
    ),
];
const MOST_ALTERNATIVES: u16 = 100;
/// A grammar is compiled for each request.
const MOST_PHRASES: usize = 1000;
const LONGEST_GRAMMAR: usize = 64 << 10;
/// Words that an error has room for.
const FEW: usize = 10;
/// Anything that is not in a grammar.
const ANYTHING: &str = "[unk]";

/// The knobs of this family: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Knobs {
    max_alternatives: u16,
    grammar: Option<Vec<String>>,
    skip_unknown: bool,
}

/// What is heard, and what is told of it.
#[derive(Debug, PartialEq, Eq)]
pub struct RecognitionOptions {
    pub hearing: Hearing,
    /// Whether each word is told.
    pub words: bool,
}

/// What a model is able to.
pub struct Able<'a> {
    /// ISO 639-1 code; `None`: nobody said.
    pub language: Option<&'static str>,
    pub takes_grammars: bool,
    pub knows: &'a dyn Fn(&str) -> bool,
}

// === impl RecognitionOptions ===

impl RecognitionOptions {
    pub fn of(asked: &TranscribeOptions, able: &Able<'_>) -> Result<Self, RequestError> {
        let refused = |param, message: &str| Err(RequestError::Unsupported { param, message: message.to_owned() });
        if asked.mode == TranscribeMode::Translate {
            return refused("task", "this model writes down what is said and does not translate; a Whisper does");
        }
        if asked.prompt.as_deref().is_some_and(|prompt| !prompt.trim().is_empty()) {
            return refused("prompt", "this model takes no prompt; `options.grammar` says what may be heard");
        }
        if asked.logprobs {
            return refused("include", "this model has no tokens; its words say how sure it is of them");
        }
        named_language::check(asked.language.as_deref(), able.language)?;
        let knobs = Knobs::deserialize(Value::Object(asked.options.clone()))
            .map_err(|error| invalid(format!("options: {error}")))?;
        if knobs.max_alternatives > MOST_ALTERNATIVES {
            let given = knobs.max_alternatives;
            return Err(invalid(format!("max_alternatives is {given}; 0 to {MOST_ALTERNATIVES} would be right")));
        }
        let grammar = knobs.grammar.as_deref().map(|phrases| grammar(phrases, knobs.skip_unknown, able)).transpose()?;
        let hearing = Hearing { max_alternatives: knobs.max_alternatives, grammar };
        Ok(Self { hearing, words: asked.timestamps == Timestamps::Word })
    }
}

/// As the library takes it.
fn grammar(phrases: &[String], skip_unknown: bool, able: &Able<'_>) -> Result<CString, RequestError> {
    if !able.takes_grammars {
        let message = "this model has its grammar built in (graph/HCLG.fst); one whose graph is in two files, as those of \
                       the small models are, takes others";
        return Err(RequestError::Unsupported { param: "options", message: message.to_owned() });
    }
    let bytes: usize = phrases.iter().map(String::len).sum();
    if phrases.len() > MOST_PHRASES || bytes > LONGEST_GRAMMAR {
        let message = format!(
            "grammar has {} phrases and {bytes} bytes; up to {MOST_PHRASES} and {LONGEST_GRAMMAR} would be right",
            phrases.len()
        );
        return Err(invalid(message));
    }
    let words = |phrase: &str| phrase.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let known = |word: &String| word == ANYTHING || (able.knows)(word);
    let mut unknown: Vec<String> =
        phrases.iter().flat_map(|phrase| words(phrase)).filter(|word| !known(word)).collect();
    unknown.sort();
    unknown.dedup();
    if !unknown.is_empty() && !skip_unknown {
        let more = unknown.len().saturating_sub(FEW);
        unknown.truncate(FEW);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("the model does not know these words of the grammar: {}{more}", unknown.join(", "));
        return Err(invalid(message));
    }
    // The library takes one blank for the end of a word, and passes over what it does not know.
    let phrases = phrases.iter().map(|phrase| words(phrase).into_iter().filter(known).collect::<Vec<_>>().join(" "));
    let phrases: Vec<String> = phrases.filter(|phrase| !phrase.is_empty()).collect();
    if phrases.is_empty() {
        return Err(invalid("grammar has no word that the model knows".to_owned()));
    }
    // JSON has no NUL in it.
    CString::new(Value::from(phrases).to_string()).map_err(|_| invalid("grammar cannot be written".to_owned()))
}

fn invalid(message: String) -> RequestError {
    RequestError::Invalid { param: "options", message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wish(options: Value, takes_grammars: bool) -> Result<RecognitionOptions, String> {
        let Value::Object(options) = options else { panic!() };
        let asked = TranscribeOptions { options, timestamps: Timestamps::Word, ..TranscribeOptions::default() };
        let able = Able { language: Some("en"), takes_grammars, knows: &|word| word.len() < 6 };
        RecognitionOptions::of(&asked, &able).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_the_library_has_it() {
        let plain = wish(json!({}), false).unwrap();
        assert_eq!(plain, RecognitionOptions { hearing: Hearing::default(), words: true });
    }

    #[test]
    fn a_grammar_is_phrases_of_known_words() {
        let grammar = |options| {
            let hearing = wish(options, true)?.hearing;
            Ok::<_, String>(hearing.grammar.unwrap().into_string().unwrap())
        };
        assert_eq!(
            grammar(json!({"grammar": [" turn  on ", "\"off\"", "[unk]"]})).unwrap(),
            "[\"turn on\",\"\\\"off\\\"\",\"[unk]\"]"
        );
        let unknown = json!({"grammar": ["turn kitchen lights"]});
        assert_eq!(
            grammar(unknown.clone()).unwrap_err(),
            "the model does not know these words of the grammar: kitchen, lights"
        );
        let skipped = json!({"grammar": ["turn kitchen lights", "kitchen"], "skip_unknown": true});
        assert_eq!(grammar(skipped).unwrap(), "[\"turn\"]");
        assert!(grammar(json!({"grammar": []})).unwrap_err().contains("no word that the model knows"));
        assert!(wish(unknown, false).unwrap_err().contains("has its grammar built in"));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for (options, said) in [
            (json!({"max_alternatives": 101}), "max_alternatives is 101; 0 to 100 would be right"),
            (json!({"max_alternatives": -1}), "invalid value"),
            (json!({"words": true}), "unknown field `words`"),
            (json!({"grammar": "on"}), "invalid type"),
            (json!({"grammar": vec!["on"; 1001]}), "1001 phrases"),
        ] {
            let error = wish(options, true).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
        let able = Able { language: Some("en"), takes_grammars: true, knows: &|_| true };
        let refused = |asked: TranscribeOptions| RecognitionOptions::of(&asked, &able).unwrap_err().to_string();
        let usual = TranscribeOptions::default;
        assert!(refused(TranscribeOptions { mode: TranscribeMode::Translate, ..usual() }).contains("translate"));
        assert!(
            refused(TranscribeOptions { prompt: Some("Sconce".to_owned()), ..usual() }).contains("options.grammar")
        );
        assert!(refused(TranscribeOptions { logprobs: true, ..usual() }).contains("no tokens"));
        let other = TranscribeOptions { language: Some("German".to_owned()), ..usual() };
        assert!(refused(other).contains("this model hears English"));
    }

    #[test]
    fn what_is_told_of_options_is_what_is_read() {
        crate::families::fixtures::assert_told::<Knobs>(KNOBS, &[]);
    }
}
