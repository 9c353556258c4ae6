//! OpenAI's audio API, as its official clients call it.

mod bodies;
mod chunking;
mod fields;
mod models;
mod render;
mod speech;
mod voices;

use actix_web::{HttpRequest, HttpResponse, web};
use futures::{Stream, stream};
use serde_json::{Value, json};

use self::{
    bodies::{Event, Transcription as TranscriptionBody, TranscriptionForm, VerboseTranscription},
    fields::{Fields, Format},
    render::Telling,
};
pub(super) use self::{
    fields::is_theirs,
    speech::{speak, spoken},
};
use super::{
    Api, Problem,
    body::{self, Shape},
    call,
    form::Form,
    sse,
};
use crate::{
    service::{Call, Transcription},
    speech::{TranscribeMode, TranscriptEvent},
};

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        transcriptions,
        translations,
        models::list,
        models::one,
        speech::speech,
        voices::list,
        voices::create,
        voices::delete
    ),
    components(schemas(Event, VerboseTranscription)),
    tags((name = "OpenAI", description = "OpenAI's audio API"))
)]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/v1/audio/transcriptions").route(web::post().to(transcriptions)))
        .service(web::resource("/v1/audio/translations").route(web::post().to(translations)))
        .service(web::resource("/v1/audio/speech").route(web::post().to(speech::speech)))
        .service(
            web::resource("/v1/audio/voices").route(web::get().to(voices::list)).route(web::post().to(voices::create)),
        )
        .service(web::resource("/v1/audio/voices/{name}").route(web::delete().to(voices::delete)))
        .service(web::resource("/v1/models").route(web::get().to(models::list)))
        .service(web::resource("/v1/models/{id:.+}").route(web::get().to(models::one)));
}

/// Speech to text, in the language that is spoken.
#[utoipa::path(
    post, path = "/v1/audio/transcriptions", operation_id = "transcriptions", tag = "OpenAI",
    request_body(content = TranscriptionForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The text, as response_format or stream wants it", content(
            (TranscriptionBody = "application/json"),
            (String = "text/plain"),
            (String = "application/x-subrip"),
            (String = "text/vtt"),
            (String = "text/event-stream"),
        )),
    ),
)]
async fn transcriptions(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload, TranscribeMode::Transcribe).await.unwrap_or_else(|problem| problem.openai())
}

/// Speech of any language to English text.
#[utoipa::path(
    post, path = "/v1/audio/translations", operation_id = "translations", tag = "OpenAI",
    request_body(content = TranscriptionForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The text, as response_format or stream wants it", content(
            (TranscriptionBody = "application/json"),
            (String = "text/plain"),
            (String = "application/x-subrip"),
            (String = "text/vtt"),
            (String = "text/event-stream"),
        )),
    ),
)]
async fn translations(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload, TranscribeMode::Translate).await.unwrap_or_else(|problem| problem.openai())
}

async fn answer(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
    goal: TranscribeMode,
) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api).await?;
    let Shape::Form = body.shape() else {
        return Err(body.not_taken("multipart/form-data, with the recording as the field file"));
    };
    hear(api, request, Form::read(request, body).await?, goal).await
}

/// Answers a form of theirs, wherever it was sent to.
pub(super) async fn hear(
    api: &Api,
    request: &HttpRequest,
    form: Form,
    goal: TranscribeMode,
) -> Result<HttpResponse, Problem> {
    let fields = Fields::take(form, goal)?;
    let call = Call { keep_alive: fields.keep_alive, ..call(request, "openai", Some(fields.model), fields.wait)? };
    let transcription = api.service.transcribe(call, fields.listen).await?;
    match fields.format {
        Format::Stream { logprobs } => streamed(transcription, logprobs).await,
        format => Ok(render::whole(transcription.whole().await?, format, goal)),
    }
}

/// The first piece is awaited before the status is sent, so that a request which fails at once fails with its status.
async fn streamed(mut transcription: Transcription, logprobs: bool) -> Result<HttpResponse, Problem> {
    let first = transcription.next().await.transpose()?;
    Ok(sse::response(events(transcription, first, Telling::new(logprobs))))
}

fn events(transcription: Transcription, first: Option<TranscriptEvent>, telling: Telling) -> impl Stream<Item = Value> {
    let start = (transcription, first.map(Ok), telling);
    stream::unfold(start, |(mut transcription, next, mut telling)| async move {
        let piece = match next {
            Some(piece) => piece,
            None => transcription.next().await?,
        };
        let event = match piece {
            Ok(piece) => json!(telling.event(piece)),
            Err(error) => Problem::from(error).openai_body(),
        };
        Some((event, (transcription, None, telling)))
    })
}
