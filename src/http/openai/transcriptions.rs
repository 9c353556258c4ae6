//! `POST /v1/audio/transcriptions` and `POST /v1/audio/translations`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::{
    http::{
        api::Api,
        body::{self, Shape},
        form::Form,
        native::transcriptions::{
            bodies::{Transcription as TranscriptionBody, TranscriptionForm},
            transcribe, transcribe_arriving,
        },
        problem::Problem,
    },
    speech::TranscribeMode,
};

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
pub(super) async fn transcriptions(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
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
pub(super) async fn translations(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload, TranscribeMode::Translate).await.unwrap_or_else(|problem| problem.openai())
}

async fn answer(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
    mode: TranscribeMode,
) -> Result<HttpResponse, Problem> {
    if body::is_form_in_the_making(request) {
        return transcribe_arriving(api, request, payload, mode).await;
    }
    let body = body::read(request, payload, api).await?;
    let Shape::Form = body.shape() else {
        return Err(body.not_taken("multipart/form-data, with the recording as the field file"));
    };
    transcribe(api, request, Form::read(api, request, body).await?, mode).await
}
