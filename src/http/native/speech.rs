//! Speech as OpenAI's clients ask for it, wherever they send it.

use actix_web::{HttpRequest, HttpResponse, error, http::header};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    sound::{EncodedSpeech, SoundFormat},
    voice,
};
use crate::{
    audio::AudioFormat,
    http::{api::Api, call::call, problem::Problem, sse},
    service::SpeakRequest,
    speech::{Kind, SynthesizeOptions, TaskKind, VoiceInput},
    text::Markup,
};

/// Names fields of a request that the model does not follow.
const IGNORED: &str = "x-sconce-ignored";

/// A text to be spoken, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Speech {
    /// A name or an alias of a model. `tts-1`, `tts-1-hd` and `gpt-4o-mini-tts` mean the default voice of this server.
    model: String,
    /// The text; `limits.max_text` bounds it.
    #[schema(min_length = 1)]
    input: String,
    voice: Voice,
    /// How to say it, in words. A model that does not follow it is told by the header `x-sconce-ignored`.
    instructions: Option<String>,
    #[serde(default)]
    response_format: Format,
    /// 0.25 to 4.
    #[schema(minimum = 0.25, maximum = 4.0)]
    speed: Option<f32>,
    #[serde(default)]
    stream_format: StreamFormat,
    /// Of the text, as an ISO 639-1 code; English if absent.
    language: Option<String>,
    /// Equal seeds speak alike.
    seed: Option<u64>,
    /// Hertz, 8000 to 48000; the model's own if absent.
    sample_rate: Option<u32>,
    #[serde(default)]
    input_type: InputType,
    /// Whether numbers, dates, abbreviations and Markdown are read as people read them; `true` if absent.
    normalize: Option<bool>,
    /// Whether the sound is brought to the loudness of EBU R128, -23 LUFS, without clipping;
    /// `speech.normalize_loudness` if absent.
    normalize_loudness: Option<bool>,
    /// Knobs of the model's family.
    options: Option<Map<String, Value>>,
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
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SpeechFormat)]
pub(in crate::http) enum Format {
    #[default]
    Mp3,
    /// In Ogg.
    Opus,
    /// In ADTS.
    Aac,
    Flac,
    Wav,
    /// Signed 16-bit little-endian samples, at 24 kHz unless `sample_rate` says otherwise.
    Pcm,
}

/// How the sound is sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum StreamFormat {
    #[default]
    Audio,
    Sse,
}

/// What the text is written in.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum InputType {
    /// Plain text or Markdown, with pauses such as `[pause:0.5s]`.
    #[default]
    Text,
    Ssml,
}

/// Answers a body of theirs, whatever route it was sent to.
pub(in crate::http) async fn synthesize(
    api: &Api,
    request: &HttpRequest,
    json: &[u8],
    protocol: &'static str,
) -> Result<HttpResponse, Problem> {
    let speech = Speech::read(json)?;
    let format = SoundFormat::new(speech.response_format.into(), speech.sample_rate)?;
    let (model, stream_format) = (speech.model.clone(), speech.stream_format);
    api.service.check(protocol, Some(&model), TaskKind::Synthesize)?;
    let follows = api.service.follows_instructions(Some(&model))?;
    let ignored = (speech.instructions.is_some() && !follows).then_some("instructions");
    let voice = speech.voice(api).await?;
    let call = call(request, protocol, Some(model), None)?;
    let speaking = api.service.speak(call, speech.request(voice)).await.map_err(about_input)?;
    let mut sound = EncodedSpeech::new(speaking, format);
    // Before the status is sent, so that a request which fails at once fails with its status.
    let first = sound.next().await.transpose().map_err(|problem| problem.renamed("text", "input"))?;
    let mut response = match stream_format {
        StreamFormat::Audio => audio(sound, first, format.format),
        StreamFormat::Sse => sse::response(events(sound, first)),
    };
    if let Some(field) = ignored {
        response
            .headers_mut()
            .insert(header::HeaderName::from_static(IGNORED), header::HeaderValue::from_static(field));
    }
    Ok(response)
}

fn about_input(error: crate::service::ServiceError) -> Problem {
    Problem::from(error).renamed("text", "input")
}

/// A failure in its midst breaks the body off: it is never a short success.
fn audio(sound: EncodedSpeech, first: Option<Bytes>, format: AudioFormat) -> HttpResponse {
    let body = stream::unfold((sound, first), |(mut sound, first)| async move {
        let bytes = match first {
            Some(bytes) => Ok(bytes),
            None => sound.next().await?.map_err(|problem| error::ErrorInternalServerError(problem.message)),
        };
        Some((bytes, (sound, None)))
    });
    HttpResponse::Ok()
        .content_type(format.media_type())
        // nginx would gather the stream otherwise.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body)
}

/// `speech.audio.delta` with base64, then `speech.audio.done`; or an error.
fn events(sound: EncodedSpeech, first: Option<Bytes>) -> impl stream::Stream<Item = Value> {
    stream::unfold((Some(sound), first), |(sound, first)| async move {
        let mut sound = sound?;
        let next = match first {
            Some(bytes) => Some(Ok(bytes)),
            None => sound.next().await,
        };
        Some(match next {
            Some(Ok(bytes)) => (delta(&bytes), (Some(sound), None)),
            Some(Err(problem)) => (problem.openai_body(), (None, None)),
            None => (done(&sound), (None, None)),
        })
    })
}

fn delta(bytes: &Bytes) -> Value {
    json!({"type": "speech.audio.delta", "audio": BASE64_STANDARD.encode(bytes)})
}

/// Models here do not count what they read in tokens.
fn done(sound: &EncodedSpeech) -> Value {
    let tokens = sound.summary.as_ref().map_or(0, |summary| summary.tokens);
    json!({"type": "speech.audio.done", "usage": {"input_tokens": 0, "output_tokens": tokens, "total_tokens": tokens}})
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

    async fn voice(&self, api: &Api) -> Result<Option<VoiceInput>, Problem> {
        match &self.voice {
            Voice::Name(name) => voice::named(api, name).await,
            Voice::Custom(voice) => {
                let found = api.service.voices().reference(voice.id.clone()).await;
                Ok(Some(VoiceInput::Reference(found.map_err(|error| Problem::from(error).about("voice"))?)))
            }
        }
    }

    fn request(self, voice: Option<VoiceInput>) -> SpeakRequest {
        let options = SynthesizeOptions {
            voice,
            language: self.language,
            speed: self.speed,
            instructions: self.instructions,
            temperature: None,
            seed: self.seed,
            options: self.options.unwrap_or_default(),
        };
        let markup = match self.input_type {
            InputType::Text => Markup::Plain,
            InputType::Ssml => Markup::Ssml,
        };
        let (text, normalize_loudness) = (self.input, self.normalize_loudness);
        SpeakRequest { text, markup, normalize: self.normalize.unwrap_or(true), normalize_loudness, options }
    }
}

impl From<Format> for AudioFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Mp3 => Self::Mp3,
            Format::Opus => Self::Opus,
            Format::Aac => Self::Aac,
            Format::Flac => Self::Flac,
            Format::Wav => Self::Wav,
            Format::Pcm => Self::Pcm,
        }
    }
}

fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let (field, reason) = (error.path().to_string(), error.inner());
    match field.as_str() {
        "." | "?" => Problem::new(Kind::Invalid, format!("the body is not what is expected here: {reason}")),
        field => Problem::invalid(field, format!("{field}: {reason}")),
    }
}
