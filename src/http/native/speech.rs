//! Speech as OpenAI's clients ask for it, wherever they send it.
//!
//! No family of this build speaks. A request is read and checked whole all the same, so that a client learns at once
//! what is wrong with it, and then what is missing here.

use actix_web::HttpResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use super::task::unserved;
use crate::{
    http::{api::Api, problem::Problem},
    speech::{Kind, TaskKind},
};

/// Characters of a text that is spoken at once, as OpenAI has it.
pub(in crate::http) const LONGEST_TEXT: usize = 4096;

/// A text to be spoken, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Speech {
    /// A name or an alias of a model.
    model: String,
    /// The text, 1 to 4096 characters.
    #[schema(min_length = 1, max_length = 4096)]
    input: String,
    voice: Voice,
    /// How to say it, in words.
    #[expect(dead_code, reason = "for families that follow instructions")]
    instructions: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for what is made; any of the known ones is fine")]
    response_format: Format,
    /// 0.25 to 4.
    #[schema(minimum = 0.25, maximum = 4.0)]
    speed: Option<f64>,
    #[serde(default)]
    #[expect(dead_code, reason = "for what is made; any of the known ones is fine")]
    stream_format: StreamFormat,
}

/// A voice of the model by its name, or one of `/v1/audio/voices`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "voice should be a name, or {\"id\": …} with a voice of /v1/audio/voices")]
#[schema(as = SpeechVoice)]
pub(in crate::http) enum Voice {
    Name(String),
    Custom(CustomVoice),
}

/// A voice of `/v1/audio/voices`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CustomVoice {
    id: String,
}

/// How the sound is written.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SpeechFormat)]
pub(in crate::http) enum Format {
    #[default]
    Mp3,
    Opus,
    Aac,
    Flac,
    Wav,
    /// Signed 16-bit little-endian samples at 24 kHz, one channel.
    Pcm,
}

/// How the sound is sent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum StreamFormat {
    #[default]
    Audio,
    Sse,
}

/// Answers a body of theirs, whatever route it was sent to.
pub(in crate::http) async fn synthesize(
    api: &Api,
    json: &[u8],
    protocol: &'static str,
) -> Result<HttpResponse, Problem> {
    let speech = Speech::read(json)?;
    if let Voice::Custom(voice) = &speech.voice {
        api.service.voices().find(voice.id.clone()).await.map_err(|error| Problem::from(error).about("voice"))?;
    }
    api.service.check(protocol, Some(&speech.model), TaskKind::Synthesize)?;
    Err(unserved(TaskKind::Synthesize))
}

// === impl Speech ===

impl Speech {
    fn read(json: &[u8]) -> Result<Self, Problem> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let speech: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| wrong(&error))?;
        reader.end().map_err(|error| Problem::new(Kind::Invalid, format!("the body is more than JSON: {error}")))?;
        speech.checked()
    }

    fn checked(self) -> Result<Self, Problem> {
        check_text("input", &self.input)?;
        if matches!(&self.voice, Voice::Name(name) if name.trim().is_empty()) {
            return Err(Problem::invalid("voice", "voice is empty; the name of a voice would be right"));
        }
        match self.speed {
            Some(speed) if !(0.25..=4.0).contains(&speed) => {
                Err(Problem::invalid("speed", format!("speed is {speed}; 0.25 to 4 would be right")))
            }
            _ => Ok(self),
        }
    }
}

/// A text that can be spoken.
pub(in crate::http) fn check_text(param: &str, text: &str) -> Result<(), Problem> {
    match text.chars().count() {
        _ if text.trim().is_empty() => {
            Err(Problem::invalid(param, format!("{param} is empty; there is nothing to say")))
        }
        length if length > LONGEST_TEXT => {
            let message = format!("{param} has {length} characters; at most {LONGEST_TEXT} are spoken at once");
            Err(Problem::invalid(param, message))
        }
        _ => Ok(()),
    }
}

fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let (field, reason) = (error.path().to_string(), error.inner());
    match field.as_str() {
        "." | "?" => Problem::new(Kind::Invalid, format!("the body is not what is expected here: {reason}")),
        field => Problem::invalid(field, format!("{field}: {reason}")),
    }
}
