//! `POST /generate` of ChatterboxTTS servers: a text, and whose voice says it; a WAV file is the answer where a model
//! speaks.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    api::Api,
    body::{self, Shape},
    native::{speech::check_text, task::unserved},
    problem::Problem,
};
use crate::speech::TaskKind;

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
    /// 1 to 4096 characters.
    #[schema(min_length = 1, max_length = 4096)]
    text: String,
    /// A voice of the model, or one of `/v1/audio/voices`.
    voice: Option<String>,
    /// Instead of a voice: a recording in the folder of voices.
    audio_prompt_path: Option<String>,
    /// A name or an alias; the default model if absent.
    model: Option<String>,
    /// Knobs of the model's family.
    #[expect(dead_code, reason = "the family that speaks reads them")]
    options: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Text to sound. This build has no model that speaks: a sound request is answered with what is missing.
#[utoipa::path(
    post, path = "/generate", tag = "compatibility", request_body = Generate,
    responses(
        (status = 200, description = "A WAV file, once a family that speaks is part of the build",
            content_type = "audio/wav", body = Vec<u8>),
    ),
)]
async fn generate(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let Generate { model, .. } = read(api, request, payload).await?;
    api.service.check("generate", model.as_deref(), TaskKind::Synthesize)?;
    Err(unserved(TaskKind::Synthesize))
}

async fn read(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<Generate, Problem> {
    let body = body::read(request, payload, api).await?;
    let Shape::Json = body.shape() else { return Err(body.not_taken("application/json")) };
    let generate: Generate = body.json()?;
    check_text("text", &generate.text)?;
    match (&generate.voice, &generate.audio_prompt_path) {
        (Some(_), Some(_)) => {
            Err(Problem::invalid("voice", "voice and audio_prompt_path both say whose voice it is; send one of them"))
        }
        (_, Some(path)) => {
            api.service.voices().at(path.into()).await?;
            Ok(generate)
        }
        _ => Ok(generate),
    }
}
