//! The answer to a form, whole or as events.

use actix_web::{HttpRequest, HttpResponse};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::{
    form::{Fields, Format},
    render::{self, EventWriter},
};
use crate::{
    http::{
        api::Api,
        call::{call, keep_alive},
        form::Form,
        problem::Problem,
        sse, wait,
    },
    service::{Call, Transcription},
    speech::{TranscribeMode, TranscriptEvent},
};

/// Answers a form of theirs, wherever it was sent to.
pub(in crate::http) async fn transcribe(
    api: &Api,
    request: &HttpRequest,
    form: Form,
    mode: TranscribeMode,
) -> Result<HttpResponse, Problem> {
    answer(api, request, Fields::take(form, mode, &api.bodies)?, mode).await
}

/// The same, of fields that were read.
pub(super) async fn answer(
    api: &Api,
    request: &HttpRequest,
    fields: Fields,
    mode: TranscribeMode,
) -> Result<HttpResponse, Problem> {
    let keep_alive = keep_alive(request, fields.keep_alive);
    let deadline = wait::deadline(request, fields.timeout)?;
    let call = Call { keep_alive, deadline, ..call(request, "openai", Some(fields.model), fields.wait)? };
    let transcription = api.service.transcribe(call, fields.request).await?;
    match fields.format {
        Format::Stream { logprobs, diarized } => streamed(transcription, logprobs, diarized).await,
        format => Ok(render::whole(transcription.whole().await?, format, mode)),
    }
}

/// The first piece is awaited before the status is sent, so that a request which fails at once fails with its status.
async fn streamed(mut transcription: Transcription, logprobs: bool, diarized: bool) -> Result<HttpResponse, Problem> {
    let first = transcription.next().await.transpose()?;
    let writer = EventWriter::new(logprobs, diarized, transcription.parts());
    Ok(sse::response(events(transcription, first, writer)))
}

fn events(
    transcription: Transcription,
    first: Option<TranscriptEvent>,
    writer: EventWriter,
) -> impl Stream<Item = Value> {
    let start = (transcription, first.map(Ok), writer);
    let events = stream::unfold(start, |(mut transcription, mut next, mut writer)| async move {
        let piece = match next.take() {
            Some(piece) => piece,
            None => transcription.next().await?,
        };
        let events: Vec<Value> = match piece {
            Ok(piece) => writer.events(piece, transcription.warnings()).iter().map(|event| json!(event)).collect(),
            Err(error) => vec![Problem::from(error).openai_body()],
        };
        Some((stream::iter(events), (transcription, None, writer)))
    });
    events.flatten()
}
