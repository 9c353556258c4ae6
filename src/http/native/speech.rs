//! Speech as OpenAI's clients ask for it, wherever they send it.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    sound::EncodedSound,
    sound_format::SoundFormat,
    sound_response::{FileFormat, StreamFormat, respond},
    speak::{InputType, SpeakFields, Stems},
    voice::{AskedVoice, Speaker},
};
use crate::{
    http::{
        api::Api,
        call::{KeepAliveSchema, call, keep_alive},
        problem::Problem,
        served::IGNORED,
        unknown::Unknown,
        wait,
    },
    lifecycle::KeepAlive,
    service::Call,
    speech::{Kind, TaskKind},
};

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
    response_format: FileFormat,
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
    /// Which sound of a model that makes several, such as `vocals`; its first if absent.
    stem: Option<String>,
    /// Knobs of the model's family.
    options: Option<Map<String, Value>>,
    /// Seconds in which the whole answer is wanted; the header `X-Request-Timeout` says the same.
    timeout: Option<f64>,
    /// Seconds to wait for the model.
    wait: Option<f64>,
    /// How long the model is to stay in memory afterwards.
    #[schema(value_type = Option<KeepAliveSchema>)]
    keep_alive: Option<KeepAlive>,
}

/// A voice of the model by its name, or one of `/v1/audio/voices`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "voice should be a name, {\"id\": …} with a voice of /v1/audio/voices, names with weights as {\"a\": 0.7, \
                 \"b\": 0.3}, or a list with a voice for each speaker of a dialogue"
)]
#[schema(as = SpeechVoice)]
pub(in crate::http) enum Voice {
    /// Also `a:0.7,b:0.3`, which is something between the two, where the model can do that.
    Name(String),
    Custom(CustomVoice),
    /// Names with weights: something between them, where the model can do that.
    Blend(BTreeMap<String, f32>),
    /// One for each speaker of a dialogue, where the model can speak one.
    Cast(Vec<SpeakerVoice>),
}

/// The voice of a speaker.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "a voice of a dialogue should be a name, or {\"id\": …} with a voice of /v1/audio/voices"
)]
pub(in crate::http) enum SpeakerVoice {
    Name(String),
    Custom(CustomVoice),
}

/// A voice of `/v1/audio/voices`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CustomVoice {
    id: String,
}

/// Answers a body of theirs, whatever route it was sent to.
pub(in crate::http) async fn synthesize(
    api: &Api,
    request: &HttpRequest,
    json: &[u8],
    protocol: &'static str,
) -> Result<HttpResponse, Problem> {
    answer(api, request, Speech::read(json, &Unknown::of(request))?, protocol)
        .await
        .map_err(|problem| problem.renamed("text", "input").renamed("stems", "stem"))
}

async fn answer(
    api: &Api,
    request: &HttpRequest,
    speech: Speech,
    protocol: &'static str,
) -> Result<HttpResponse, Problem> {
    let Speech { model, input, voice, response_format, stream_format, .. } = &speech;
    let (format, stream_format) = (SoundFormat::new((*response_format).into(), speech.sample_rate)?, *stream_format);
    let (asked, task) = (voice.asked()?, TaskKind::Synthesize);
    let fields = speech.fields().checked()?;
    api.service.check(protocol, Some(model), task)?;
    let follows = api.service.follows_instructions(Some(model))?;
    let ignored = (fields.instructions.is_some() && !follows).then_some("instructions");
    let voice = asked.find_named(Speaker { service: &api.service, model: Some(model), task }).await?;
    let deadline = wait::deadline(request, speech.timeout)?;
    let keep_alive = keep_alive(request, speech.keep_alive);
    let call = Call { keep_alive, deadline, ..call(request, protocol, Some(model.clone()), speech.wait)? };
    let speaking = api.service.speak(call, fields.request(input.clone(), voice)).await?;
    let mut response = respond(EncodedSound::new(speaking, format), stream_format).await?;
    if let Some(field) = ignored {
        response.headers_mut().insert(IGNORED, header::HeaderValue::from_static(field));
    }
    Ok(response)
}

// === impl Speech ===

impl Speech {
    fn read(json: &[u8], unknown: &Unknown) -> Result<Self, Problem> {
        if unknown.is_lenient()
            && let Ok(mut body) = serde_json::from_slice(json)
        {
            unknown.leave_out::<Self>(&mut body);
            return serde_path_to_error::deserialize(body).map_err(|error| wrong(&error));
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        let speech: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| wrong(&error))?;
        reader.end().map_err(|error| Problem::new(Kind::Invalid, format!("the body is more than JSON: {error}")))?;
        Ok(speech)
    }

    fn fields(&self) -> SpeakFields {
        SpeakFields {
            language: self.language.clone(),
            speed: self.speed,
            instructions: self.instructions.clone(),
            seed: self.seed,
            sample_rate: self.sample_rate,
            input_type: self.input_type,
            normalize: self.normalize,
            normalize_loudness: self.normalize_loudness,
            stems: Stems(self.stem.iter().cloned().collect()),
            options: self.options.clone(),
        }
    }
}

// === impl Voice ===

impl Voice {
    fn asked(&self) -> Result<AskedVoice, Problem> {
        match self {
            Self::Name(name) => AskedVoice::named(name),
            Self::Custom(voice) => Ok(AskedVoice::Id(voice.id.clone())),
            Self::Blend(voices) => {
                Ok(AskedVoice::Blend(voices.iter().map(|(name, weight)| (name.clone(), *weight)).collect()))
            }
            Self::Cast(voices) => {
                let of_speaker = |voice: &SpeakerVoice| match voice {
                    SpeakerVoice::Name(name) => AskedVoice::named(name),
                    SpeakerVoice::Custom(voice) => Ok(AskedVoice::Id(voice.id.clone())),
                };
                Ok(AskedVoice::Cast(voices.iter().map(of_speaker).collect::<Result<_, _>>()?))
            }
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
