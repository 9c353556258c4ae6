//! Server-sent events.

use std::{convert::Infallible, time::Duration};

use actix_web::{HttpResponse, http::header};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde_json::Value;

/// Proxies close a connection on which nothing happens for a minute or so.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One frame per event: `data: {json}`, as OpenAI's API writes them. A comment keeps an idle connection open.
pub(super) fn response(events: impl Stream<Item = Value> + 'static) -> HttpResponse {
    let frames = events.map(|event| Bytes::from(format!("data: {event}\n\n")));
    let alive = tokio_stream::StreamExt::timeout_repeating(frames, tokio::time::interval(KEEP_ALIVE));
    let bytes = alive.map(|frame| Ok::<_, Infallible>(frame.unwrap_or(Bytes::from_static(b": still here\n\n"))));
    HttpResponse::Ok()
        .content_type("text/event-stream; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        // nginx would gather the stream otherwise.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(bytes)
}
