//! `POST /predict`, and the route in `AIP_PREDICT_ROUTE`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::envelope;
use crate::{
    http::{
        api::Api,
        body::{self, Body, Shape},
        form::Form,
        native::{
            content::{Content, Matter},
            delivery::Delivery,
            events,
            fields::{self, Fields},
            item::Item,
            request::NativeRequest,
            speech, transcriptions,
        },
        problem::Problem,
    },
    service::Recording,
    speech::{Kind, TranscribeMode},
};

const TAKEN: &str = "application/json, multipart/form-data, audio/*, video/*, application/octet-stream, text/plain or \
                     application/ssml+xml";

/// What can be asked in JSON.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is told apart by its fields")]
enum PredictRequest {
    Envelope(envelope::Envelope),
    RunPod(RunPodJob),
    Native(Box<NativeRequest>),
}

/// A job of RunPod.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes fields, which are taken one by one")]
struct RunPodJob {
    id: Option<Value>,
    input: Box<NativeRequest>,
}

/// The answer to one.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct RunPodOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    /// A prediction.
    output: Value,
}

/// What is answered in JSON.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written by the shape of the request")]
enum PredictResponse {
    Predictions(envelope::Predictions),
    RunPod(RunPodOutput),
    Prediction(serde_json::Map<String, Value>),
}

/// One or many instances, a recording or a text as it is, or what OpenAI's clients send; also the route in `AIP_PREDICT_ROUTE`.
#[utoipa::path(
    post, path = "/predict", operation_id = "predict", tag = "Vertex AI",
    request_body(content(
        (PredictRequest = "application/json"),
        (Vec<u8> = "audio/wav"),
        (Vec<u8> = "application/octet-stream"),
        (String = "text/plain"),
        (String = "application/ssml+xml"),
    )),
    responses((status = 200, description = "Predictions, or one without the envelope; as events if they were asked for", content(
        (PredictResponse = "application/json"),
        (String = "text/plain"),
        (String = "application/x-subrip"),
        (String = "text/vtt"),
        (Vec<u8> = "audio/wav"),
        (Vec<u8> = "audio/mpeg"),
        (String = "text/event-stream"),
    ))),
)]
pub(in crate::http) async fn predict(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

/// The same, where SageMaker looks for it.
#[utoipa::path(
    post, path = "/invocations", tag = "compatibility",
    request_body(content(
        (Value = "application/json"),
        (String = "audio/*"),
        (String = "application/octet-stream"),
        (String = "text/plain"),
        (Value = "multipart/form-data"),
    )),
    responses((status = 200, description = "Predictions, or one without the envelope", body = Value)),
)]
pub(super) async fn invocations(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api).await?;
    match body.shape() {
        Shape::Json => json_body(api, request, body).await,
        Shape::Sound => sound_body(api, request, body).await,
        Shape::Text => text_body(api, request, body).await,
        Shape::Form => form_body(api, request, body).await,
        Shape::Other => Err(body.not_taken(TAKEN)),
    }
}

async fn json_body(api: &Api, request: &HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let bytes = body.bytes.clone();
    let value: Value = body.parse(api).await?;
    if value.get("instances").is_some() {
        drop(bytes);
        return envelope::answer(api, request, value).await;
    }
    if value.get("input").is_some_and(|input| !input.is_object()) {
        // OpenAI's name for what is to be spoken.
        return speech::synthesize(api, request, &bytes, "vertex").await;
    }
    drop(bytes);
    match value {
        Value::Object(mut fields) => match fields.remove("input") {
            Some(Value::Object(input)) => job(api, request, input, fields.remove("id")).await,
            _ => single(api, request, fields, None).await,
        },
        _ => Err(Problem::new(Kind::Invalid, "the body is no JSON object, as was expected here")),
    }
}

/// A job as RunPod hands it to its workers, `{"id", "input": {…}}`; what else stands beside the input is for RunPod.
async fn job(api: &Api, request: &HttpRequest, mut input: Fields, id: Option<Value>) -> Result<HttpResponse, Problem> {
    let output = Delivery::take(&mut input)?.output_uri;
    let item = Item::new(api, request, input, None, &Content::default(), |_| output)?;
    let output = item.predict(api).await?.into_json();
    Ok(HttpResponse::Ok().json(RunPodOutput { id, output }))
}

async fn sound_body(api: &Api, request: &HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let hint = body.media_type.as_ref().map(ToString::to_string);
    single(api, request, Fields::new(), Some(Matter::Sound(Recording { bytes: body.bytes, hint }.into()))).await
}

/// To be spoken.
async fn text_body(api: &Api, request: &HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let (text, fields) = (body.text(api, request)?, body.text_fields());
    single(api, request, fields, Some(Matter::Text(text))).await
}

async fn form_body(api: &Api, request: &HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let mut form = Form::read(api, request, body).await?;
    if transcriptions::is_theirs(&form) {
        return transcriptions::transcribe(api, request, form, TranscribeMode::Transcribe).await;
    }
    let file = form.file()?;
    single(api, request, fields::from_texts(form.into_texts()), Some(Matter::Sound(file.into()))).await
}

/// A request without the envelope is answered without one. What its body does not say its query may.
async fn single(
    api: &Api,
    request: &HttpRequest,
    mut fields: Fields,
    body: Option<Matter>,
) -> Result<HttpResponse, Problem> {
    let mut query = fields::query(request)?;
    let (own, other) = (Delivery::take(&mut fields)?, Delivery::take(&mut query)?);
    let output = own.output_uri.or(other.output_uri);
    let item = Item::new(api, request, fields::merge(fields, query), body, &Content::default(), |_| output)?;
    if own.stream || other.stream || events::accepted(request) {
        return events::single(api.clone(), item).await;
    }
    let (media_type, body) = item.predict(api).await?.into_body();
    Ok(HttpResponse::Ok().content_type(media_type).body(body))
}
