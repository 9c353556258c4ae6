//! Answers while they are made, as server-sent events: `{"segment"}`, or `{"audio"}` with a stretch of sound, as soon as
//! each is final, then `{"prediction"}`, or `{"error"}`. In the envelope each says of which `instance` it is.

use actix_web::{HttpRequest, HttpResponse, http::header};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{
    item::{Item, RunningItem},
    task::Step,
};
use crate::http::{api::Api, problem::Problem, sse};

/// Instances of one request that are worked on at once.
pub(in crate::http) const AT_ONCE: usize = 8;

/// An event, and of which instance it is.
type Event = (usize, Result<Value, Problem>);

/// Whether a request asks for events by its header.
pub(in crate::http) fn accepted(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.split(',').any(|part| part.trim().starts_with("text/event-stream")))
}

/// The events of a body without the envelope.
pub(in crate::http) async fn single(api: Api, item: Item) -> Result<HttpResponse, Problem> {
    respond(of_item(api, item).map(|event| (0, event)), |(_, event)| written(event)).await
}

/// The events of all instances, as they come.
pub(in crate::http) async fn envelope(
    api: Api,
    items: impl Iterator<Item = Result<Item, Problem>> + 'static,
) -> Result<HttpResponse, Problem> {
    let events = items.enumerate().map(move |(instance, item)| {
        let events = match item {
            Ok(item) => of_item(api.clone(), item).left_stream(),
            Err(problem) => stream::once(std::future::ready(Err(problem))).right_stream(),
        };
        Box::pin(events.map(move |event| (instance, event)))
    });
    let tagged = |(instance, event)| {
        let mut event = written(event);
        event["instance"] = json!(instance);
        event
    };
    respond(stream::iter(events).flatten_unordered(AT_ONCE), tagged).await
}

/// The status is sent with the first event that is no failure. When there is none, the first failure is the answer.
async fn respond(
    events: impl Stream<Item = Event> + 'static,
    written: impl Fn(Event) -> Value + 'static,
) -> Result<HttpResponse, Problem> {
    let mut events = Box::pin(events);
    let mut begun: Vec<Event> = Vec::new();
    while begun.last().is_none_or(|(_, event)| event.is_err()) {
        match events.next().await {
            Some(event) => begun.push(event),
            None => break,
        }
    }
    if let (Some((_, Err(first))), Some((_, Err(_)))) = (begun.first(), begun.last()) {
        return Err(first.clone());
    }
    Ok(sse::response(stream::iter(begun).chain(events).map(written)))
}

fn written(event: Result<Value, Problem>) -> Value {
    event.unwrap_or_else(|problem| json!({"error": problem.google_body()}))
}

fn of_item(api: Api, item: Item) -> impl Stream<Item = Result<Value, Problem>> {
    let start = async move {
        let running = item.start_streaming(&api).await?;
        Ok::<_, Problem>(steps(api, running))
    };
    stream::once(start).try_flatten()
}

fn steps(api: Api, running: RunningItem) -> impl Stream<Item = Result<Value, Problem>> {
    stream::unfold((api, Some(running)), |(api, item)| async move {
        let mut item = item?;
        loop {
            return match item.running.next().await? {
                Ok(Step::Piece(piece)) => match piece.event() {
                    Some(event) => Some((Ok(event), (api, Some(item)))),
                    None => continue,
                },
                Ok(Step::Whole(whole)) => {
                    let sent = item.deliver(&api, whole).await;
                    Some((sent.map(|sent| json!({"prediction": sent.into_json()})), (api, None)))
                }
                Err(problem) => Some((Err(problem), (api, None))),
            };
        }
    })
}
