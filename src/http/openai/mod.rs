//! OpenAI's audio API, as its official clients call it.

mod fields;
mod models;
mod render;

use actix_web::{HttpRequest, HttpResponse, web};
use futures::{Stream, stream};
use serde_json::Value;

use self::fields::{Fields, Format};
use super::{
    Api, Problem,
    body::{self, Shape},
    call,
    form::Form,
    sse,
};
use crate::{
    service::Transcription,
    speech::{Goal, Heard},
};

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/v1/audio/transcriptions").route(web::post().to(transcriptions)))
        .service(web::resource("/v1/audio/translations").route(web::post().to(translations)))
        .service(web::resource("/v1/models").route(web::get().to(models::list)))
        .service(web::resource("/v1/models/{id:.+}").route(web::get().to(models::one)));
}

async fn transcriptions(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload, Goal::Transcribe).await.unwrap_or_else(|problem| problem.openai())
}

async fn translations(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload, Goal::Translate).await.unwrap_or_else(|problem| problem.openai())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload, goal: Goal) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api.config.body_limit).await?;
    let Shape::Form = body.shape() else { return Err(body.not_taken("multipart/form-data")) };
    let fields = Fields::take(Form::read(request, body).await?, goal)?;
    let call = call(request, "openai", Some(fields.model), fields.wait)?;
    let transcription = api.service.transcribe(call, fields.listen).await?;
    match fields.format {
        Format::Stream => streamed(transcription).await,
        format => Ok(render::whole(&transcription.whole().await?, format, goal)),
    }
}

/// The first piece is awaited before the status is sent, so that a request which fails at once fails with its status.
async fn streamed(mut transcription: Transcription) -> Result<HttpResponse, Problem> {
    let first = transcription.next().await.transpose()?;
    Ok(sse::response(events(transcription, first)))
}

fn events(transcription: Transcription, first: Option<Heard>) -> impl Stream<Item = Value> {
    let start = (transcription, first.map(Ok), String::new());
    stream::unfold(start, |(mut transcription, next, mut text)| async move {
        let piece = match next {
            Some(piece) => piece,
            None => transcription.next().await?,
        };
        let event = match piece {
            Ok(piece) => render::event(&piece, &mut text),
            Err(error) => Problem::from(error).openai_body(),
        };
        Some((event, (transcription, None, text)))
    })
}
