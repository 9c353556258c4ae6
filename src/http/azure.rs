//! OpenAI's audio API under the paths of Azure: the model stands there as the deployment, and the key in `api-key`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;
use utoipa::IntoParams;

use super::{
    api::Api,
    body::{self, Shape},
    form::Form,
    native::{
        speech::{Speech, synthesize},
        transcriptions::{
            bodies::{Transcription, TranscriptionForm},
            transcribe,
        },
    },
    problem::Problem,
};
use crate::speech::TranscribeMode;

/// This file's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(transcriptions, translations, speech))]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    let path = |rest: &str| format!("/openai/deployments/{{deployment}}/audio/{rest}");
    app.service(web::resource(path("transcriptions")).route(web::post().to(transcriptions)))
        .service(web::resource(path("translations")).route(web::post().to(translations)))
        .service(web::resource(path("speech")).route(web::post().to(speech)));
}

type Deployment = web::Path<String>;

/// What their clients send with every request.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query that is not read")]
struct ApiVersion {
    /// Taken, and of no effect.
    #[param(rename = "api-version")]
    api_version: Option<String>,
}

/// Speech to text, in the language that is spoken, for clients of Azure.
#[utoipa::path(
    post, path = "/openai/deployments/{deployment}/audio/transcriptions", operation_id = "azure_transcriptions", tag = "compatibility",
    request_body(content = TranscriptionForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "As of the route of OpenAI", content((Transcription = "application/json")))),
    params(("deployment" = String, Path, description = "A name or an alias of a model"), ApiVersion),
)]
async fn transcriptions(
    api: web::Data<Api>,
    request: HttpRequest,
    payload: web::Payload,
    name: Deployment,
) -> HttpResponse {
    heard(&api, &request, payload, &name, TranscribeMode::Transcribe).await.unwrap_or_else(|problem| problem.openai())
}

/// Speech of any language to English text, for clients of Azure.
#[utoipa::path(
    post, path = "/openai/deployments/{deployment}/audio/translations", operation_id = "azure_translations", tag = "compatibility",
    request_body(content = TranscriptionForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "As of the route of OpenAI", content((Transcription = "application/json")))),
    params(("deployment" = String, Path, description = "A name or an alias of a model"), ApiVersion),
)]
async fn translations(
    api: web::Data<Api>,
    request: HttpRequest,
    payload: web::Payload,
    name: Deployment,
) -> HttpResponse {
    heard(&api, &request, payload, &name, TranscribeMode::Translate).await.unwrap_or_else(|problem| problem.openai())
}

async fn heard(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
    deployment: &str,
    mode: TranscribeMode,
) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api).await?;
    let Shape::Form = body.shape() else {
        return Err(body.not_taken("multipart/form-data, with the recording as the field file"));
    };
    let mut form = Form::read(api, request, body).await?;
    form.set_absent("model", deployment);
    transcribe(api, request, form, mode).await
}

/// Text to sound, for clients of Azure.
#[utoipa::path(
    post, path = "/openai/deployments/{deployment}/audio/speech", operation_id = "azure_speech", tag = "compatibility",
    request_body = Speech,
    responses((status = 200, description = "As of the route of OpenAI", content((Vec<u8> = "audio/mpeg")))),
    params(("deployment" = String, Path, description = "A name or an alias of a model"), ApiVersion),
)]
async fn speech(api: web::Data<Api>, request: HttpRequest, payload: web::Payload, name: Deployment) -> HttpResponse {
    said(&api, &request, payload, &name).await.unwrap_or_else(|problem| problem.openai())
}

async fn said(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
    deployment: &str,
) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api).await?;
    let Shape::Json = body.shape() else { return Err(body.not_taken("application/json")) };
    synthesize(api, request, &with_model(&body.bytes, deployment), "openai").await
}

/// A JSON object that says a model: this one, unless it does.
fn with_model(json: &[u8], model: &str) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Named {
        model: Option<IgnoredAny>,
    }
    let rest = json.trim_ascii_start().strip_prefix(b"{");
    match (serde_json::from_slice(json), rest) {
        (Ok(Named { model: None }), Some(rest)) => {
            let comma = if rest.trim_ascii_start().starts_with(b"}") { "" } else { "," };
            [format!("{{\"model\":{}{comma}", json!(model)).as_bytes(), rest].concat()
        }
        // It says one, or what is amiss with it is told by who reads it.
        _ => json.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployment_is_the_model_of_a_body_that_names_none() {
        for (given, expected) in [
            (r#"{"input": "a"}"#, r#"{"model":"tts \"1\"","input": "a"}"#),
            (" {} ", r#"{"model":"tts \"1\""} "#),
            (r#"{"model": "b", "input": "a"}"#, r#"{"model": "b", "input": "a"}"#),
            ("[1]", "[1]"),
            ("{", "{"),
        ] {
            assert_eq!(String::from_utf8(with_model(given.as_bytes(), "tts \"1\"")).unwrap(), expected, "{given}");
        }
    }
}
