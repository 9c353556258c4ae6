//! A request in our own words: an instance with its `parameters`, or a body without an envelope with its query.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, Schema},
    },
};

use super::{
    audio,
    fields::{self, Fields},
    format::Format,
};
use crate::{
    http::{api::Api, problem::Problem},
    lifecycle::KeepAlive,
    service::Recording,
    speech::{Kind, TaskKind, TranscribeOptions},
};

/// What is said whatever is to be done. What is missing in the end the task says.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(in crate::http) struct Common {
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
    pub response_format: Option<Format>,
}

/// A request, understood but for its recording.
#[derive(Clone, Debug)]
pub(in crate::http) struct NativeRequest {
    pub common: Common,
    pub options: TaskOptions,
}

/// What is said of the task.
#[derive(Clone, Debug)]
pub(in crate::http) enum TaskOptions {
    Transcribe(TranscribeOptions),
    /// Whether a model here does that is for the service to say; what it would read is left unread.
    Unread(TaskKind),
}

/// Fields that hold what is worked on, and may be as large as a body.
const CONTENT: [&str; 3] = ["audio", "text", "voice"];
/// Bytes of text in any other field. No model hears more than a few hundred words of a prompt.
const LONGEST_OPTION: usize = 64 << 10;

static COMMON: LazyLock<Vec<String>> = LazyLock::new(names::<Common>);

/// The names of the fields of a struct.
fn names<T: PartialSchema>() -> Vec<String> {
    fields::described::<T>().properties.into_keys().collect()
}

// === impl NativeRequest ===

impl NativeRequest {
    pub fn read(fields: Fields) -> Result<Self, Problem> {
        check_texts(&fields)?;
        let is_common = |(name, _): &(String, Value)| COMMON.contains(name);
        let (common, options): (Fields, Fields) = fields::without_nulls(fields).into_iter().partition(is_common);
        let common: Common = fields::read(common)?;
        Ok(Self { options: TaskOptions::read(common.task(), options)?, common })
    }

    pub fn task(&self) -> TaskKind {
        self.common.task()
    }

    /// Takes the recording, if there is one: the body as it is, or what the field `audio` holds, or what is where that
    /// points to; else that of the `default`, which many requests share.
    pub async fn take_audio(
        &mut self,
        api: &Api,
        body: Option<Recording>,
        default: Option<Arc<Value>>,
    ) -> Result<Option<Recording>, Problem> {
        match (body, self.common.audio.take().map(Arc::new).or(default)) {
            (Some(_), Some(_)) => Err(Problem::invalid("audio", "the body is the recording; audio is one too many")),
            (Some(body), None) => Ok(Some(body)),
            (None, Some(audio)) => Ok(Some(audio::recording(api, audio).await?)),
            (None, None) => Ok(None),
        }
    }
}

// === impl Common ===

impl Common {
    /// What is to be done, by what is there to do it with.
    fn task(&self) -> TaskKind {
        match (&self.text, &self.voice) {
            (Some(_), _) => TaskKind::Synthesize,
            (None, Some(_)) => TaskKind::Convert,
            (None, None) => TaskKind::Transcribe,
        }
    }
}

// === impl TaskOptions ===

impl TaskOptions {
    fn read(task: TaskKind, options: Fields) -> Result<Self, Problem> {
        match task {
            TaskKind::Transcribe => Ok(Self::Transcribe(known::<TranscribeOptions>(options)?.checked()?)),
            TaskKind::Synthesize | TaskKind::Convert => Ok(Self::Unread(task)),
        }
    }
}

/// What is said of a request is held for as long as it waits, and once for each instance: there it is no document.
fn check_texts(fields: &Fields) -> Result<(), Problem> {
    for (name, value) in fields.iter().filter(|(name, _)| !CONTENT.contains(&name.as_str())) {
        let length = text_in(value);
        if length > LONGEST_OPTION {
            let message = format!("{name} has {length} bytes of text; {LONGEST_OPTION} at most would be right");
            return Err(Problem::new(Kind::TooLarge, message).about(name));
        }
    }
    Ok(())
}

/// Bytes of all texts and names in a value.
fn text_in(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_in).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + text_in(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Options as a `T`, if it has fields of these names.
fn known<T: DeserializeOwned + PartialSchema>(options: Fields) -> Result<T, Problem> {
    let names = names::<T>();
    match options.keys().find(|name| !names.contains(name)) {
        None => fields::read(options),
        Some(name) => {
            let known = COMMON.iter().chain(&names).map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(Problem::invalid(name, format!("there is no field {name:?} here; there are {known}")))
        }
    }
}

/// The fields of all tasks. What belongs to another task than the one that is asked for is refused by name.
impl PartialSchema for NativeRequest {
    fn schema() -> RefOr<Schema> {
        let mut all = fields::described::<Common>();
        all.properties.extend(fields::described::<TranscribeOptions>().properties);
        all.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        RefOr::T(Schema::Object(all))
    }
}

impl ToSchema for NativeRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <Common as ToSchema>::schemas(schemas);
        <TranscribeOptions as ToSchema>::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(value: Value) -> Result<NativeRequest, Problem> {
        NativeRequest::read(fields::object(value)?)
    }

    #[test]
    fn an_unknown_field_is_named_with_those_that_there_are() {
        let problem = request(json!({"audio": "", "langauge": "en"})).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("langauge"));
        for known in ["audio", "keep_alive", "language", "task", "timestamps"] {
            assert!(problem.message.contains(known), "{problem}");
        }
    }

    #[test]
    fn a_wrong_value_is_told_with_its_field() {
        for (wrong, field) in [
            (json!({"wait": "soon"}), "wait"),
            (json!({"task": "sing"}), "task"),
            (json!({"temperature": 7}), "temperature"),
        ] {
            let problem = request(wrong).unwrap_err();
            assert_eq!(problem.param.as_deref(), Some(field), "{problem}");
        }
    }

    #[test]
    fn what_is_there_says_the_task() {
        let task = |value| request(value).unwrap().task();
        assert_eq!(task(json!({"audio": "UklGRg==", "language": null})), TaskKind::Transcribe);
        assert_eq!(task(json!({"audio": "UklGRg==", "voice": "anna"})), TaskKind::Convert);
        assert_eq!(task(json!({"text": "hello", "voice": "anna"})), TaskKind::Synthesize);
    }
}
