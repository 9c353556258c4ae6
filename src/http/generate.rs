//! `POST /generate` of ChatterboxTTS servers: a text, and whose voice says it; a WAV file is the answer where a model
//! speaks.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    api::Api,
    body::{self, Shape, not_expected},
    call::{KeepAliveSchema, call, keep_alive},
    native::{
        request::SoundAnswer,
        sound_format::SoundFormat,
        task::{SoundRetention, TaskRequest},
        voice::{AskedVoice, Speaker},
    },
    problem::Problem,
    unknown::Unknown,
    wait,
};
use crate::{
    audio::AudioFormat,
    lifecycle::KeepAlive,
    service::{Call, SpeakRequest},
    speech::{SynthesizeOptions, TaskKind, VoiceInput},
    text::Markup,
};

/// This route's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(generate),
    tags((name = "compatibility", description = "Routes that clients of other servers know"))
)]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/generate").route(web::post().to(generate)));
}

/// A text to be spoken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Generate {
    /// `limits.max_text` bounds it.
    #[schema(min_length = 1)]
    text: String,
    /// A voice of the model, or one of `/v1/audio/voices`.
    voice: Option<String>,
    /// Instead of a voice: a recording in the folder of voices.
    audio_prompt_path: Option<String>,
    /// A name or an alias; the default model if absent.
    model: Option<String>,
    /// Whether the sound is brought to the loudness of EBU R128; `speech.normalize_loudness` if absent.
    normalize_loudness: Option<bool>,
    /// Knobs of the model's family.
    options: Option<serde_json::Map<String, serde_json::Value>>,
    /// Seconds in which the whole answer is wanted; the header `X-Request-Timeout` says the same.
    timeout: Option<f64>,
    /// Seconds to wait for the model.
    wait: Option<f64>,
    /// How long the model is to stay in memory afterwards.
    #[schema(value_type = Option<KeepAliveSchema>)]
    keep_alive: Option<KeepAlive>,
}

/// Text to a WAV file.
#[utoipa::path(
    post, path = "/generate", tag = "compatibility", request_body = Generate,
    responses(
        (status = 200, description = "A WAV file", content_type = "audio/wav", body = Vec<u8>),
    ),
)]
async fn generate(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let asked = read(api, request, payload).await?;
    let Generate { text, voice, audio_prompt_path, model, normalize_loudness, options, .. } = asked;
    let voice = match (voice, audio_prompt_path) {
        (_, Some(path)) => {
            let recording = api.service.voices().at(path.into()).await?;
            Some(VoiceInput::Reference(api.service.voices().reference(recording.name).await?))
        }
        (Some(name), None) => {
            let (service, task) = (&api.service, TaskKind::Synthesize);
            service.check("generate", model.as_deref(), task)?;
            AskedVoice::named(&name)?.find_named(Speaker { service, model: model.as_deref(), task }).await?
        }
        (None, None) => None,
    };
    let options = SynthesizeOptions { voice, options: options.unwrap_or_default(), ..SynthesizeOptions::default() };
    let spoken = SpeakRequest { text, markup: Markup::Plain, normalize: true, normalize_loudness, options };
    let (deadline, keep_alive) = (wait::deadline(request, asked.timeout)?, keep_alive(request, asked.keep_alive));
    let call = Call { keep_alive, deadline, ..call(request, "generate", model, asked.wait)? };
    let wav = SoundAnswer { format: SoundFormat::new(AudioFormat::Wav, None)?, as_file: true };
    let running =
        TaskRequest::Synthesize(Box::new(spoken), wav).start(&api.service, call, SoundRetention::Sound).await?;
    let (media_type, file) = running.whole(|_| {}).await?.into_file();
    Ok(HttpResponse::Ok().content_type(media_type).body(file))
}

async fn read(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<Generate, Problem> {
    let body = body::read(request, payload, api).await?;
    let Shape::Json = body.shape() else { return Err(body.not_taken("application/json")) };
    let mut fields = body.json()?;
    Unknown::of(request).leave_out::<Generate>(&mut fields);
    let generate = serde_json::from_value::<Generate>(fields).map_err(not_expected)?;
    match (&generate.voice, &generate.audio_prompt_path) {
        (Some(_), Some(_)) => {
            Err(Problem::invalid("voice", "voice and audio_prompt_path both say whose voice it is; send one of them"))
        }
        _ => Ok(generate),
    }
}
