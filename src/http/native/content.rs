//! What a request works on and with, which may be as large as a body, and which many instances may share.

use std::sync::Arc;

use serde_json::Value;
use utoipa::ToSchema;

use super::fields::Fields;
use crate::{http::problem::Problem, service::AudioInput, speech::TaskKind};

/// What a request works on and with. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Content {
    pub matter: Option<Matter>,
    /// As it was sent.
    pub voice: Option<Arc<Value>>,
}

/// What is worked on.
#[derive(Clone, Debug)]
pub(in crate::http) enum Matter {
    /// A body that is a recording.
    Sound(AudioInput),
    /// A recording, or where it is, in JSON.
    Audio(Arc<Value>),
    /// To be spoken.
    Text(Arc<str>),
}

/// The fields of [`Content`].
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes fields, which are taken one by one")]
pub(super) struct ContentFields {
    /// The recording: base64, `{"content": base64}`, or `{"uri": "gs://…"}`, `s3://…`, `https://…`.
    audio: Option<Value>,
    /// What is to be spoken, in place of a recording; `limits.max_text` bounds it.
    text: Option<String>,
    /// Whose voice is to speak; beside a recording, whose it is to become. A name of `/v1/audio/voices`, `a:0.7,b:0.3` or
    /// `{"a": 0.7, "b": 0.3}` for something between several, or a recording of the speaker as `audio` has it.
    voice: Option<Value>,
}

// === impl Content ===

impl Content {
    /// Takes what is there out of the fields of a request.
    pub fn take(fields: &mut Fields) -> Result<Self, Problem> {
        let mut there = |name| fields.remove(name).filter(|value: &Value| !value.is_null());
        let matter = match (there("audio"), there("text")) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("text", "audio and text are both there; send the one or the other"));
            }
            (Some(audio), None) => Some(Matter::Audio(Arc::new(audio))),
            (None, Some(Value::String(text))) => Some(Matter::Text(text.into())),
            (None, Some(_)) => return Err(Problem::invalid("text", "text should be a text")),
            (None, None) => None,
        };
        Ok(Self { matter, voice: there("voice").map(Arc::new) })
    }

    /// With a body that is what is worked on.
    pub fn with_body(self, body: Option<Matter>) -> Result<Self, Problem> {
        match (body, &self.matter) {
            (None, _) => Ok(self),
            (Some(body), None) => Ok(Self { matter: Some(body), ..self }),
            (Some(body), Some(field)) => {
                let (body, field) = (body.name(), field.field());
                Err(Problem::invalid(field, format!("the body is the {body}; {field} is one too many")))
            }
        }
    }

    /// What is not there is taken from defaults.
    pub fn or(self, defaults: &Self) -> Self {
        Self {
            matter: self.matter.or_else(|| defaults.matter.clone()),
            voice: self.voice.or_else(|| defaults.voice.clone()),
        }
    }

    /// What can be asked for by what is there, the more usual before the others.
    pub fn tasks(&self) -> &'static [TaskKind] {
        match (&self.matter, &self.voice) {
            (Some(Matter::Text(_)), _) => &[TaskKind::Synthesize],
            (_, Some(_)) => &[TaskKind::Convert],
            (_, None) => &[TaskKind::Transcribe, TaskKind::Convert],
        }
    }
}

// === impl Matter ===

impl Matter {
    fn name(&self) -> &'static str {
        match self {
            Self::Sound(_) | Self::Audio(_) => "recording",
            Self::Text(_) => "text",
        }
    }

    fn field(&self) -> &'static str {
        match self {
            Self::Sound(_) | Self::Audio(_) => "audio",
            Self::Text(_) => "text",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::native::fields;

    fn content(value: Value) -> Result<Content, Problem> {
        Content::take(&mut fields::object(value)?)
    }

    #[test]
    fn what_is_there_says_what_can_be_asked_for() {
        let first = |value| content(value).unwrap().tasks()[0];
        assert_eq!(first(json!({"audio": "UklGRg==", "voice": null})), TaskKind::Transcribe);
        assert_eq!(first(json!({"audio": "UklGRg==", "voice": "anna"})), TaskKind::Convert);
        assert_eq!(first(json!({"text": "hello", "voice": "anna"})), TaskKind::Synthesize);
        assert!(content(json!({"audio": "UklGRg=="})).unwrap().tasks().contains(&TaskKind::Convert));
    }

    #[test]
    fn one_thing_is_worked_on() {
        assert!(content(json!({"audio": "", "text": ""})).is_err());
        assert!(content(json!({"text": 7})).is_err());
        let body = || Some(Matter::Text("hello".into()));
        let refusal = content(json!({"audio": "UklGRg=="})).unwrap().with_body(body()).unwrap_err();
        assert_eq!(refusal.message, "the body is the text; audio is one too many");
        let defaults = content(json!({"audio": "UklGRg==", "voice": "anna"})).unwrap();
        let own = content(json!({})).unwrap().with_body(body()).unwrap().or(&defaults);
        assert!(matches!(own.matter, Some(Matter::Text(_))) && own.voice.is_some());
    }
}
