//! Whose voice is to speak: a name, something between several, or a recording of the speaker.

use std::sync::Arc;

use serde_json::Value;

use super::audio;
use crate::{
    http::{api::Api, problem::Problem},
    service::{Service, ServiceError, VoiceError},
    speech::{Kind, TaskKind, VoiceBlend, VoiceCast, VoiceInput},
};

/// OpenAI's own voices, which clients have built in: here they are the model's default voice.
const OPENAI: [&str; 13] =
    ["alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"];
/// What is said in a recording, beside it.
const TRANSCRIPT: &str = "transcript";
/// Speakers of a dialogue, at most.
const MOST: usize = 8;
/// Bytes of a voice that is named; that of a folder has 64 letters.
const LONGEST: usize = 1024;

/// A voice as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) enum AskedVoice {
    /// Of this server, or else one of the model's own.
    Name(String),
    /// Of this server.
    Id(String),
    /// Names with weights.
    Blend(Vec<(String, f32)>),
    /// A recording of the speaker, as the field `audio` has it, and what is said in it beside that.
    Sample(Arc<Value>),
    /// One for each speaker of a dialogue.
    Cast(Vec<AskedVoice>),
}

/// For whom a voice is looked for.
#[derive(Clone, Copy)]
pub(in crate::http) struct Speaker<'a> {
    pub service: &'a Service,
    /// As the request names it.
    pub model: Option<&'a str>,
    pub task: TaskKind,
}

// === impl AskedVoice ===

impl AskedVoice {
    pub fn read(value: &Arc<Value>) -> Result<Self, Problem> {
        match &**value {
            Value::String(text) => Self::named(text),
            Value::Object(fields) if fields.values().all(Value::is_number) => {
                let weight = |value: &Value| value.as_f64().unwrap_or_default() as f32;
                Ok(Self::Blend(fields.iter().map(|(name, value)| (name.clone(), weight(value))).collect()))
            }
            Value::Object(fields) => match (fields.len(), fields.get("id").and_then(Value::as_str)) {
                (1, Some(id)) => Ok(Self::Id(id.to_owned())),
                _ if ["content", "b64", "uri"].iter().any(|name| fields.contains_key(*name)) => {
                    Ok(Self::Sample(value.clone()))
                }
                _ => Err(wrong()),
            },
            Value::Array(voices) if voices.len() <= MOST => {
                let each = voices.iter().map(|voice| Self::read(&Arc::new(voice.clone())));
                Ok(Self::Cast(each.collect::<Result<_, _>>()?))
            }
            Value::Array(voices) => Err(too_many(voices.len())),
            _ => Err(wrong()),
        }
    }

    /// A name, or `a:0.7,b:0.3`.
    pub fn named(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::invalid("voice", "voice is empty; the name of a voice would be right"));
        }
        if text.len() > LONGEST {
            let message = format!("voice has {} bytes; {LONGEST} at most would be right", text.len());
            return Err(Problem::new(Kind::TooLarge, message).about("voice"));
        }
        let weighted = |part: &str| {
            let (name, weight) = part.rsplit_once(':')?;
            Some((name.trim().to_owned(), weight.trim().parse().ok()?))
        };
        match text.split(',').map(weighted).collect::<Option<Vec<_>>>() {
            Some(voices) => Ok(Self::Blend(voices)),
            None if text.contains(',') => {
                Err(Problem::invalid("voice", format!("voice is {text:?}; a name, or a:0.7,b:0.3, would be right")))
            }
            None => Ok(Self::Name(text.to_owned())),
        }
    }

    /// The voice as a model is given it; `None`: the model's default.
    pub async fn find(self, api: &Api, speaker: Speaker<'_>) -> Result<Option<VoiceInput>, Problem> {
        match self {
            Self::Sample(value) => {
                let transcript = value.get(TRANSCRIPT).and_then(Value::as_str).map(str::to_owned);
                let sample = audio::sample(api, value).await.map_err(|problem| problem.about("voice"))?;
                let found = speaker.service.voices().of_sample(sample, transcript).await.map_err(of_voice)?;
                Ok(Some(VoiceInput::Reference(found)))
            }
            Self::Cast(voices) => {
                let mut found = Vec::with_capacity(voices.len());
                for voice in voices {
                    let of_speaker = Box::pin(voice.find(api, speaker)).await?;
                    found.push(of_speaker.ok_or_else(unnamed)?);
                }
                cast(found)
            }
            named => named.find_named(speaker).await,
        }
    }

    /// [`Self::find`] where nothing is read from elsewhere.
    pub async fn find_named(self, speaker: Speaker<'_>) -> Result<Option<VoiceInput>, Problem> {
        match self {
            Self::Name(name) if OPENAI.contains(&name.as_str()) => Ok(speaker.of_server(&name).await?),
            Self::Name(name) => speaker.named(&name).await.map(Some),
            Self::Id(id) => {
                let found = speaker.service.voices().reference(id).await.map_err(of_voice)?;
                Ok(Some(VoiceInput::Reference(found)))
            }
            Self::Blend(names) => {
                let mut voices = Vec::new();
                for (name, weight) in names {
                    voices.push((speaker.named(&name).await?, weight));
                }
                let blend = VoiceBlend::new(voices).map_err(|error| Problem::invalid("voice", error.to_string()))?;
                Ok(Some(VoiceInput::Blend(blend)))
            }
            Self::Cast(voices) => {
                let mut found = Vec::with_capacity(voices.len());
                for voice in voices {
                    let of_speaker = Box::pin(voice.find_named(speaker)).await?;
                    found.push(of_speaker.ok_or_else(unnamed)?);
                }
                cast(found)
            }
            Self::Sample(_) => {
                let message = "a voice is named here; POST /v1/audio/voices takes the recording of one";
                Err(Problem::new(Kind::Unsupported, message).about("voice"))
            }
        }
    }
}

// === impl Speaker ===

impl Speaker<'_> {
    async fn named(self, name: &str) -> Result<VoiceInput, Problem> {
        self.service.voice(self.model, self.task, name).await.map_err(|error| match error {
            // The name is in the body, not in the address.
            ServiceError::Voice(error @ VoiceError::Unknown { .. }) => Problem::invalid("voice", error.to_string()),
            error => error.into(),
        })
    }

    async fn of_server(self, name: &str) -> Result<Option<VoiceInput>, Problem> {
        Ok(self.service.voices().of_name(name).await.map_err(of_voice)?.map(VoiceInput::Reference))
    }
}

fn of_voice(error: VoiceError) -> Problem {
    Problem::from(error).about("voice")
}

fn cast(voices: Vec<VoiceInput>) -> Result<Option<VoiceInput>, Problem> {
    let cast = VoiceCast::new(voices).map_err(|error| Problem::invalid("voice", error.to_string()))?;
    Ok(Some(VoiceInput::Cast(cast)))
}

fn too_many(voices: usize) -> Problem {
    Problem::invalid("voice", format!("voice has {voices} voices; 1 to {MOST} would be right"))
}

/// One of OpenAI's, which here is nobody's in particular.
fn unnamed() -> Problem {
    Problem::invalid("voice", "a speaker of a dialogue needs a voice of /v1/audio/voices, or a recording")
}

fn wrong() -> Problem {
    let message = "voice should be a name, {\"id\": …} with a voice of /v1/audio/voices, names with weights as \
                   {\"a\": 0.7, \"b\": 0.3}, a recording as audio has it, or a list with one of these for each speaker of a \
                   dialogue";
    Problem::invalid("voice", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<AskedVoice, Problem> {
        AskedVoice::read(&Arc::new(value))
    }

    #[test]
    fn a_blend_is_written_in_two_ways() {
        let blend = AskedVoice::Blend(vec![("a".to_owned(), 0.75), ("b".to_owned(), 0.25)]);
        assert_eq!(read(json!("a:0.75, b:0.25")).unwrap(), blend);
        assert_eq!(read(json!({"a": 0.75, "b": 0.25})).unwrap(), blend);
        assert_eq!(read(json!("anna")).unwrap(), AskedVoice::Name("anna".to_owned()));
        assert_eq!(read(json!("model:anna")).unwrap(), AskedVoice::Name("model:anna".to_owned()));
        assert_eq!(read(json!({"id": "anna"})).unwrap(), AskedVoice::Id("anna".to_owned()));
        assert!(matches!(read(json!({"uri": "gs://a/b"})).unwrap(), AskedVoice::Sample(_)));
        let cast = AskedVoice::Cast(vec![AskedVoice::Name("anna".to_owned()), AskedVoice::Id("bob".to_owned())]);
        assert_eq!(read(json!(["anna", {"id": "bob"}])).unwrap(), cast);
    }

    #[test]
    fn what_is_no_voice_is_refused() {
        let many = json!(["a"; 9].to_vec());
        for wrong in [many, json!(""), json!(7), json!([7]), json!({"name": "anna"}), json!("a,b"), json!("a:0.5,b:x")]
        {
            assert_eq!(read(wrong.clone()).unwrap_err().param.as_deref(), Some("voice"), "{wrong}");
        }
        assert!(read(json!("a".repeat(2000))).is_err());
    }
}
