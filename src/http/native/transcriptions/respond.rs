//! The answer to a form, whole or as events.

use actix_web::{HttpRequest, HttpResponse};
use futures::{Stream, stream};
use serde_json::{Value, json};

use super::{
    form::{Fields, Format},
    render::{self, Telling},
};
use crate::{
    http::{api::Api, call::call, form::Form, problem::Problem, sse},
    service::{Call, Transcription},
    speech::{TranscribeMode, TranscriptEvent},
};

/// Answers a form of theirs, wherever it was sent to.
pub(in crate::http) async fn transcribe(
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
