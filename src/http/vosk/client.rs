//! What clients say beside the sound.

use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::ToSchema;

use crate::{http::problem::Problem, speech::Kind};

/// A list of phrases takes the most. A value of two letters takes a hundred bytes once it is parsed.
pub(super) const LONGEST: usize = 256 << 10;

/// A text of the client.
#[derive(Debug, PartialEq)]
pub(super) enum ClientMessage {
    Config(Config),
    /// That was all of the sound.
    End,
}

/// How the client wants to be heard. Fields that are not known are passed over, as Vosk's server does.
#[derive(Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = VoskConfig)]
pub(super) struct Config {
    /// Hertz, a whole number.
    #[schema(minimum = 8000, maximum = 48000)]
    pub sample_rate: Option<f64>,
    /// Whether each word comes with its times; if absent, where the model tells them.
    #[schema(inline)]
    pub words: Option<Flag>,
    /// Above 0, `vosk.alternatives` is the answer.
    pub max_alternatives: Option<u16>,
    /// Nothing else is heard by a model that takes a grammar; for others it is a prompt.
    pub phrase_list: Option<Vec<String>>,
    /// As in the query.
    pub model: Option<String>,
}

/// Python takes either for a truth.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Flag {
    Bool(bool),
    Number(f64),
}

#[derive(Deserialize)]
struct Message {
    config: Option<Config>,
    eof: Option<IgnoredAny>,
}

pub(super) fn read(text: &str) -> Result<ClientMessage, Problem> {
    if text.len() > LONGEST {
        let message = format!("a text has {} bytes; at most {LONGEST} would be right", text.len());
        return Err(Problem::new(Kind::TooLarge, message));
    }
    let message: Message = serde_json::from_str(text)
        .map_err(|error| Problem::new(Kind::Invalid, format!("the text cannot be understood: {error}")))?;
    match message {
        Message { config: Some(config), .. } => Ok(ClientMessage::Config(config)),
        Message { eof: Some(_), .. } => Ok(ClientMessage::End),
        Message { .. } => {
            Err(Problem::new(Kind::Invalid, "a text is {\"config\": {…}} or {\"eof\": 1}; sound comes as bytes"))
        }
    }
}

// === impl Flag ===

impl From<Flag> for bool {
    fn from(flag: Flag) -> Self {
        match flag {
            Flag::Bool(flag) => flag,
            Flag::Number(number) => number != 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_of_vosk_say_is_understood() {
        assert_eq!(read("{\"eof\" : 1}").unwrap(), ClientMessage::End);
        let text = r#"{"config": {"sample_rate": 16000.0, "words": 1, "max_alternatives": 3, "phrase_list": ["on", "off"],
                       "something": "else"}}"#;
        let ClientMessage::Config(config) = read(text).unwrap() else { panic!() };
        assert_eq!((config.sample_rate, config.max_alternatives), (Some(16_000.0), Some(3)));
        assert!(config.words.is_some_and(bool::from));
        assert_eq!(config.phrase_list.unwrap(), ["on", "off"]);
        assert_eq!(read("{\"config\": {}}").unwrap(), ClientMessage::Config(Config::default()));
    }

    #[test]
    fn what_is_neither_is_told() {
        for (text, said) in [
            ("{", "cannot be understood"),
            ("{}", "a text is {\"config\""),
            ("[]", "cannot be understood"),
            ("{\"config\": {\"max_alternatives\": -1}}", "invalid value"),
            ("{\"config\": {\"phrase_list\": \"on\"}}", "invalid type"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.contains(said), "{text}: {error}");
        }
        assert!(read(&" ".repeat(LONGEST + 1)).unwrap_err().message.contains("at most"));
    }
}
