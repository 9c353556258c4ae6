//! What may be asked in a native body. An instance, `parameters` and a body without an envelope have the same fields, so
//! there is one type for all three.

use actix_web::{HttpRequest, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::audio;
use crate::{
    http::{api::Api, problem::Problem},
    lifecycle::KeepAlive,
    service::{AudioInput, Recording, TranscribeRequest},
    speech::{Kind, TaskKind, Timestamps, TranscribeMode, TranscribeOptions},
};

/// The fields of an instance, of `parameters`, or of a native body. All are optional here; what is missing in the end is
/// said by [`Ask::listen`].
#[derive(Clone, Debug, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Ask {
    /// The recording: base64, `{"content": base64}`, or `{"uri": "gs://…"}`, `s3://…`, `https://…`.
    pub audio: Option<Value>,
    /// What is to be spoken, in place of a recording.
    pub text: Option<String>,
    /// Whose voice is to speak; beside a recording, whose it is to become.
    pub voice: Option<Value>,
    /// A name or an alias; the default model if absent.
    pub model: Option<String>,
    /// Seconds to wait for the model.
    pub wait: Option<f64>,
    /// How long the model is to stay in memory afterwards.
    #[schema(value_type = Option<String>)]
    pub keep_alive: Option<KeepAlive>,
    pub language: Option<String>,
    /// `transcribe`, or `translate` into English.
    #[schema(value_type = Option<String>)]
    pub task: Option<TranscribeMode>,
    pub prompt: Option<String>,
    pub temperature: Option<f32>,
    /// `none`, `segment` or `word`.
    #[schema(value_type = Option<String>)]
    pub timestamps: Option<Timestamps>,
    pub response_format: Option<Format>,
    /// Knobs of the model's family.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
}

/// How a native answer is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum Format {
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

    pub fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problem> {
        Self::from_json(Value::Object(fields(texts)))
    }

    /// What is absent here is taken from `defaults`.
    pub fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        Self {
            audio: self.audio.or(defaults.audio),
            text: self.text.or(defaults.text),
            voice: self.voice.or(defaults.voice),
            model: self.model.or(defaults.model),
            wait: self.wait.or(defaults.wait),
            keep_alive: self.keep_alive.or(defaults.keep_alive),
            language: self.language.or(defaults.language),
            task: self.task.or(defaults.task),
            prompt: self.prompt.or(defaults.prompt),
            temperature: self.temperature.or(defaults.temperature),
            timestamps: self.timestamps.or(defaults.timestamps),
            response_format: self.response_format.or(defaults.response_format),
            options: self.options.or(defaults.options),
        }
    }

    /// What is to be done, by what is there to do it with.
    pub fn task(&self) -> TaskKind {
        match (&self.text, &self.voice) {
            (Some(_), _) => TaskKind::Synthesize,
            (None, Some(_)) => TaskKind::Convert,
            (None, None) => TaskKind::Transcribe,
        }
    }

    /// The recording: the body as it is, or what the field `audio` holds, or what is where that points to.
    pub async fn recording(&mut self, api: &Api, raw: Option<Recording>) -> Result<Recording, Problem> {
        match (raw, self.audio.take()) {
            (Some(_), Some(_)) => Err(Problem::invalid("audio", "the body is the recording; audio is one too many")),
            (Some(raw), None) => Ok(raw),
            (None, Some(audio)) => audio::recording(api, &audio).await,
            (None, None) => Err(Problem::invalid("audio", "the field audio, with the recording, is missing")),
        }
    }

    /// What is to be heard in a recording.
    pub fn listen(self, audio: impl Into<AudioInput>) -> Result<TranscribeRequest, Problem> {
        let options = TranscribeOptions {
            language: self.language,
            mode: self.task.unwrap_or_default(),
            prompt: self.prompt,
            temperature: self.temperature.map(temperature).transpose()?,
            timestamps: self.timestamps.unwrap_or_default(),
            logprobs: false,
            options: self.options.unwrap_or_default(),
        };
        Ok(TranscribeRequest { audio: audio.into(), options, voice_activity: None })
    }
}

/// The texts of a form or a query as JSON has them: numbers are numbers, the rest is text.
pub(in crate::http) fn fields(texts: impl IntoIterator<Item = (String, String)>) -> Map<String, Value> {
    let value = |(name, text): (String, String)| match name.as_str() {
        "wait" | "temperature" => (name, text.trim().parse::<f64>().map_or_else(|_| text.into(), Value::from)),
        "options" => (name, serde_json::from_str(&text).unwrap_or(Value::String(text))),
        _ => (name, Value::String(text)),
    };
    texts.into_iter().map(value).collect()
}

/// The fields in the query of a request whose body is the recording.
pub(in crate::http) fn query(request: &HttpRequest) -> Result<Map<String, Value>, Problem> {
    let texts = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(|error| Problem::invalid("query", format!("the query cannot be read: {error}")))?;
    Ok(fields(texts.into_inner()))
}

/// A temperature that can be sampled at.
pub(in crate::http) fn temperature(value: f32) -> Result<f32, Problem> {
    let fine = (0.0..=1.0).contains(&value);
    fine.then_some(value)
        .ok_or_else(|| Problem::invalid("temperature", format!("temperature is {value}; 0 to 1 would be right")))
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!((merged.language.as_deref(), merged.task), (Some("de"), Some(TranscribeMode::Translate)));
    }

    #[test]
    fn numbers_in_a_query_are_numbers() {
        let texts = [("temperature", "0.5"), ("wait", "3")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let ask = Ask::from_texts(texts).unwrap();
        assert_eq!((ask.temperature, ask.wait), (Some(0.5), Some(3.0)));
        assert!(Ask::from_texts([("temperature".to_owned(), "hot".to_owned())]).is_err());
    }
}
