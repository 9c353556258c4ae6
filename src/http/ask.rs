//! What may be asked of a recogniser in a native body. An instance, `parameters` and a body without an envelope have the
//! same fields, so there is one type for all three.

use std::time::Duration;

use actix_web::HttpRequest;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Problem, audio};
use crate::{
    service::{Listen, Recording},
    speech::{Goal, Kind, Timestamps},
};

/// Nobody waits longer for a model, whatever they ask.
const LONGEST_WAIT: f64 = 3600.0;

/// The fields of an instance, of `parameters`, or of a native body. All are optional here; what is missing in the end is
/// said by [`Ask::listen`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    pub audio: Option<Value>,
    pub model: Option<String>,
    /// Seconds to wait for the model.
    pub wait: Option<f64>,
    pub language: Option<String>,
    pub task: Option<Goal>,
    pub prompt: Option<String>,
    pub temperature: Option<f32>,
    pub timestamps: Option<Timestamps>,
    pub response_format: Option<Format>,
    pub options: Option<Map<String, Value>>,
}

/// How a native answer is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
    Text,
    Srt,
    Vtt,
}

// === impl Ask ===

impl Ask {
    pub fn from_json(value: Value) -> Result<Self, Problem> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let (field, reason) = (error.path().to_string(), error.inner());
            match field.as_str() {
                "." | "?" => Problem::new(Kind::Invalid, reason.to_string()),
                field => Problem::invalid(field, format!("{field}: {reason}")),
            }
        })
    }

    /// From the texts of a form or a query; numbers are numbers, the rest is text.
    pub fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problem> {
        let value = |(name, text): (String, String)| match name.as_str() {
            "wait" | "temperature" => (name, text.trim().parse::<f64>().map_or_else(|_| text.into(), Value::from)),
            "options" => (name, serde_json::from_str(&text).unwrap_or(Value::String(text))),
            _ => (name, Value::String(text)),
        };
        Self::from_json(Value::Object(texts.into_iter().map(value).collect()))
    }

    /// What is absent here is taken from `defaults`.
    pub fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        Self {
            audio: self.audio.or(defaults.audio),
            model: self.model.or(defaults.model),
            wait: self.wait.or(defaults.wait),
            language: self.language.or(defaults.language),
            task: self.task.or(defaults.task),
            prompt: self.prompt.or(defaults.prompt),
            temperature: self.temperature.or(defaults.temperature),
            timestamps: self.timestamps.or(defaults.timestamps),
            response_format: self.response_format.or(defaults.response_format),
            options: self.options.or(defaults.options),
        }
    }

    /// What is to be heard; the recording is `raw`, or else the field `audio`.
    pub fn listen(self, raw: Option<Recording>) -> Result<Listen, Problem> {
        let recording = match (raw, &self.audio) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("audio", "the body is the recording; audio is one too many"));
            }
            (Some(raw), None) => raw,
            (None, Some(audio)) => audio::recording(audio)?,
            (None, None) => return Err(Problem::invalid("audio", "the field audio, with the recording, is missing")),
        };
        Ok(Listen {
            recording,
            language: self.language,
            goal: self.task.unwrap_or_default(),
            prompt: self.prompt,
            temperature: self.temperature.map(temperature).transpose()?,
            timestamps: self.timestamps.unwrap_or_default(),
            options: self.options.unwrap_or_default(),
        })
    }
}

/// A temperature that can be sampled at.
pub(super) fn temperature(value: f32) -> Result<f32, Problem> {
    let fine = (0.0..=1.0).contains(&value);
    fine.then_some(value)
        .ok_or_else(|| Problem::invalid("temperature", format!("temperature is {value}; 0 to 1 would be right")))
}

/// A number of seconds that somebody can wait.
pub(super) fn seconds(param: &str, value: f64) -> Result<Duration, Problem> {
    let fine = (0.0..=LONGEST_WAIT).contains(&value);
    fine.then(|| Duration::from_secs_f64(value)).ok_or_else(|| {
        Problem::invalid(param, format!("{param} is {value}; 0 to {LONGEST_WAIT} seconds would be right"))
    })
}

/// `Prefer: wait=10` (RFC 7240). A preference that cannot be read is not kept, as the RFC has it.
pub(super) fn preferred_wait(request: &HttpRequest) -> Option<Duration> {
    let prefer = request.headers().get("prefer")?.to_str().ok()?;
    let wait = prefer.split([',', ';']).find_map(|part| part.trim().strip_prefix("wait="))?;
    seconds("wait", wait.trim_matches('"').parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use serde_json::json;

    #[test]
    fn an_unknown_field_is_named_with_those_that_there_are() {
        let problem = Ask::from_json(json!({"audio": "", "langauge": "en"})).unwrap_err();
        let text = format!("{problem:?}");
        assert!(text.contains("langauge") && text.contains("language") && text.contains("timestamps"), "{text}");
    }

    #[test]
    fn an_instance_goes_before_the_parameters() {
        let parameters = Ask::from_json(json!({"language": "en", "task": "translate"})).unwrap();
        let merged = Ask::from_json(json!({"language": "de"})).unwrap().or(&parameters);
        assert_eq!((merged.language.as_deref(), merged.task), (Some("de"), Some(Goal::Translate)));
    }

    #[test]
    fn the_wait_comes_from_the_prefer_header() {
        let wait = |value: &'static str| {
            preferred_wait(&TestRequest::default().insert_header(("Prefer", value)).to_http_request())
        };
        assert_eq!(wait("respond-async, wait=10"), Some(Duration::from_secs(10)));
        assert_eq!(wait("wait=0"), Some(Duration::ZERO));
        assert_eq!(wait("wait=soon"), None);
        assert_eq!(wait("wait=-1"), None);
    }

    #[test]
    fn numbers_in_a_query_are_numbers() {
        let texts = [("temperature", "0.5"), ("wait", "3")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let ask = Ask::from_texts(texts).unwrap();
        assert_eq!((ask.temperature, ask.wait), (Some(0.5), Some(3.0)));
        assert!(Ask::from_texts([("temperature".to_owned(), "hot".to_owned())]).is_err());
    }
}
