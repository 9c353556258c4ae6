//! What a route answers when it cannot do what was asked: one of each kind, as the protocol writes it.

use std::collections::BTreeMap;

use actix_web::{body::MessageBody, http::StatusCode};
use serde_json::Value;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder,
    example::ExampleBuilder,
    path::Operation,
    schema::{ObjectBuilder, Type},
};

use crate::{
    http::problem::{Problem, Shape},
    speech::Kind,
};

/// What a request for work can meet, and what clients read of it.
const OF_WORK: [(Kind, &str); 12] = [
    (Kind::Invalid, "a field is not what it should be"),
    (Kind::NotFound, "there is no model of that name"),
    (Kind::Unsupported, "understood, but this model cannot do it"),
    (Kind::TooLarge, "the body or the recording exceeds a limit"),
    (Kind::UnsupportedMedia, "the body is of a type that is not taken here"),
    (Kind::Busy, "the queue or an allowance is used up; Retry-After says when to come back"),
    (Kind::Loading, "the model is loading; Retry-After says when to come back"),
    (Kind::Unavailable, "the model is not available at present"),
    (Kind::WontFit, "the model is larger than the memory that it may use"),
    (Kind::Deadline, "the time limit of the request passed"),
    (Kind::Stopping, "the server is going down"),
    (Kind::Internal, "the server failed"),
];
/// What a look at something can meet.
const OF_A_LOOK: [(Kind, &str); 2] =
    [(Kind::NotFound, "there is no such thing"), (Kind::Internal, "the server failed")];
/// What closed routes answer, where keys are asked for.
const OF_KEYS: [(Kind, &str); 2] = [
    (Kind::Unauthenticated, "no key was sent, or one that is not known"),
    (Kind::Forbidden, "the key does not have the scope that the route needs, or the route is closed"),
];

/// Adds what an operation can answer beside what it says itself.
pub(super) fn add(operation: &mut Operation, work: bool, shape: Shape, keys: bool) {
    let general = if work { &OF_WORK[..] } else { &OF_A_LOOK[..] };
    let kinds = general.iter().chain(OF_KEYS.iter().filter(|_| keys || work));
    for (status, response) in responses(kinds, shape) {
        let said = operation.responses.responses.entry(status.as_str().to_owned());
        match said.or_insert_with(|| RefOr::T(response.clone())) {
            // A route that says only in words why: the body is what the protocol has.
            RefOr::T(said) if said.content.is_empty() => said.content = response.content,
            _ => {}
        }
    }
}

/// Kinds by their status in a protocol, each with an example that the protocol's own writer made.
fn responses<'a>(
    kinds: impl Iterator<Item = &'a (Kind, &'static str)>,
    shape: Shape,
) -> BTreeMap<StatusCode, Response> {
    let mut by_status: BTreeMap<StatusCode, Vec<(&'static str, Value)>> = BTreeMap::new();
    for (kind, text) in kinds {
        let answer = Problem::new(*kind, *text).answer(shape);
        let status = answer.status();
        let body = answer.into_body().try_into_bytes().unwrap_or_default();
        by_status.entry(status).or_default().push((text, serde_json::from_slice(&body).unwrap_or_default()));
    }
    by_status.into_iter().map(|(status, examples)| (status, response(status, examples, shape))).collect()
}

fn response(status: StatusCode, examples: Vec<(&'static str, Value)>, shape: Shape) -> Response {
    let schema = match shape {
        Shape::OpenAi => "OpenAiError",
        Shape::Google => "GoogleError",
        Shape::Oip => "OipError",
    };
    let description = examples.iter().map(|(text, _)| *text).collect::<Vec<_>>().join("; or ");
    let examples = examples.into_iter().map(|(text, body)| (text, ExampleBuilder::new().value(Some(body)).build()));
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).examples_from_iter(examples);
    let response = ResponseBuilder::new().description(description).content("application/json", content.build());
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
            let header =
                HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds until a retry makes sense"));
            response.header("Retry-After", header.build()).build()
        }
        _ => response.build(),
    }
}
