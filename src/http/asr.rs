//! Transcriptions as clients of two other servers ask for them: `POST /asr` of whisper-asr-webservice and
//! `POST /inference` of whisper.cpp. Their fields become those of OpenAI's form.

use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::ToSchema;

use super::{
    api::Api,
    body::{self, Shape},
    form::Form,
    native::transcriptions::transcribe,
    problem::Problem,
};
use crate::speech::TranscribeMode;

/// This file's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(asr, inference))]
pub(super) struct Docs;

/// What the default model answers to.
const DEFAULT: &str = "whisper-1";

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/asr").route(web::post().to(asr)))
        .service(web::resource("/inference").route(web::post().to(inference)));
}

/// The form of whisper-asr-webservice.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form, which is read field by field")]
struct AsrForm {
    /// The recording.
    #[schema(value_type = String, format = Binary)]
    audio_file: Vec<u8>,
}

/// The form of whisper.cpp's server; the fields of `/v1/audio/transcriptions` are taken as well.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form, which is read field by field")]
struct InferenceForm {
    /// The recording.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// A name or an alias of a model; the default model if absent.
    model: Option<String>,
    /// json, text, srt, tsv, verbose_json or vtt.
    response_format: Option<String>,
    language: Option<String>,
    prompt: Option<String>,
    temperature: Option<f32>,
    /// To English, where the model can.
    translate: Option<bool>,
    no_timestamps: Option<bool>,
}

/// Speech to text, for clients of whisper-asr-webservice.
#[utoipa::path(
    post, path = "/asr", tag = "compatibility",
    request_body(content = AsrForm, content_type = "multipart/form-data"),
    params(
        ("task" = Option<String>, Query, description = "transcribe or translate"),
        ("language" = Option<String>, Query, description = "The spoken language; detected if absent"),
        ("initial_prompt" = Option<String>, Query, description = "Text that came before, or words to expect"),
        ("output" = Option<String>, Query, description = "txt (the default), json, srt, vtt or tsv"),
        ("vad_filter" = Option<bool>, Query, description = "Whether noise and silence are cut out before"),
        ("word_timestamps" = Option<bool>, Query, description = "Whether the answer in json has words"),
        ("encode" = Option<bool>, Query, description = "Taken, and of no effect: the format is told by the content"),
        ("model" = Option<String>, Query, description = "A name or an alias of a model; the default model if absent"),
    ),
    responses(
        (status = 200, description = "The text, as output wants it", content(
            (String = "text/plain"), (String = "application/json"), (String = "application/x-subrip"),
            (String = "text/vtt"), (String = "text/tab-separated-values"),
        )),
    ),
)]
async fn asr(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let answer = async {
        let mut form = read(&api, &request, payload).await?;
        form.rename_recording("audio_file", "file");
        let mode = take_query(&mut form, request.query_string())?;
        transcribe(&api, &request, form, mode).await
    };
    answer.await.unwrap_or_else(|problem| problem.google())
}

/// Speech to text, for clients of whisper.cpp's server.
#[utoipa::path(
    post, path = "/inference", tag = "compatibility",
    request_body(content = InferenceForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The text, as response_format wants it", content(
            (String = "application/json"), (String = "text/plain"), (String = "application/x-subrip"),
            (String = "text/vtt"), (String = "text/event-stream"),
        )),
    ),
)]
async fn inference(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let answer = async {
        let mut form = read(&api, &request, payload).await?;
        let mode = if form.flag("translate")? == Some(true) { TranscribeMode::Translate } else { Default::default() };
        form.rename("no_timestamps", "without_timestamps");
        form.set_absent("model", DEFAULT);
        transcribe(&api, &request, form, mode).await
    };
    answer.await.unwrap_or_else(|problem| problem.google())
}

async fn read(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<Form, Problem> {
    let body = body::read(request, payload, api).await?;
    let Shape::Form = body.shape() else { return Err(body.not_taken("multipart/form-data, with the recording")) };
    Form::read(api, request, body).await
}

/// The query of `/asr`, as fields of the form, and its task.
fn take_query(form: &mut Form, query: &str) -> Result<TranscribeMode, Problem> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|error| Problem::invalid("query", format!("the query cannot be read: {error}")))?
        .into_inner();
    let mut mode = TranscribeMode::default();
    for (name, value) in pairs {
        match (name.as_str(), value.as_str()) {
            ("task", "transcribe" | "") | ("encode", _) => {}
            ("task", "translate") => mode = TranscribeMode::Translate,
            ("task", _) => {
                let message = format!("task is {value:?}; transcribe or translate would be right");
                return Err(Problem::invalid("task", message));
            }
            ("output", "txt") => form.set_absent("response_format", "text"),
            ("output", "json") => form.set_absent("response_format", "verbose_json"),
            ("output", other) => form.set_absent("response_format", other),
            ("initial_prompt", _) => form.set_absent("prompt", &value),
            _ => form.set_absent(&name, &value),
        }
    }
    form.set_absent("response_format", "text");
    form.set_absent("model", DEFAULT);
    Ok(mode)
}
