//! Vertex AI: the envelope of `instances` and `predictions`, a raw body, or a native JSON body, on one route.

mod render;

use actix_web::{HttpRequest, HttpResponse, web};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Api, Problem,
    ask::{Ask, Format},
    body::{self, Body, Shape},
    call,
    form::Form,
};
use crate::{service::Recording, speech::Transcript};

/// Instances of one request that are worked on at once.
const INSTANCES_AT_ONCE: usize = 8;
const TAKEN: &str = "application/json, multipart/form-data, audio/*, video/* or application/octet-stream";

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/predict").route(web::post().to(predict)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    instances: Vec<Value>,
    parameters: Option<Value>,
}

/// `POST /predict` and the route in `AIP_PREDICT_ROUTE`.
pub(super) async fn predict(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api.config.body_limit).await?;
    match body.shape() {
        Shape::Json => json_body(api, request, body.json()?).await,
        Shape::Sound => sound_body(api, request, body).await,
        Shape::Form => form_body(api, request, body).await,
        Shape::Other => Err(body.not_taken(TAKEN)),
    }
}

async fn json_body(api: &Api, request: &HttpRequest, value: Value) -> Result<HttpResponse, Problem> {
    if value.get("instances").is_some() {
        return envelope(api, request, value).await;
    }
    single(api, request, Ask::from_json(value)?, None).await
}

async fn sound_body(api: &Api, request: &HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let hint = body.media_type.as_ref().map(ToString::to_string);
    single(api, request, query(request)?, Some(Recording { bytes: body.bytes, hint })).await
}

async fn form_body(api: &Api, request: &HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let mut form = Form::read(request, body).await?;
    let file = form.file()?;
    single(api, request, Ask::from_texts(form.into_texts())?.or(&query(request)?), Some(file)).await
}

fn query(request: &HttpRequest) -> Result<Ask, Problem> {
    let texts = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(|error| Problem::invalid("query", format!("the query cannot be read: {error}")))?;
    Ask::from_texts(texts.into_inner())
}

/// A request without the envelope is answered without one.
async fn single(api: &Api, request: &HttpRequest, ask: Ask, raw: Option<Recording>) -> Result<HttpResponse, Problem> {
    let format = ask.response_format.unwrap_or_default();
    let timestamps = ask.timestamps.unwrap_or_default();
    let heard = hear(api, request, ask, raw).await?;
    Ok(match format {
        Format::Json => HttpResponse::Ok().json(render::prediction(&heard, timestamps)),
        format => HttpResponse::Ok().content_type(render::media_type(format)).body(render::text(&heard, format)),
    })
}

async fn envelope(api: &Api, request: &HttpRequest, value: Value) -> Result<HttpResponse, Problem> {
    let Envelope { instances, parameters } =
        serde_json::from_value(value).map_err(|error| Problem::invalid("instances", error.to_string()))?;
    if instances.is_empty() {
        return Err(Problem::invalid("instances", "instances is empty; send at least one"));
    }
    let parameters = parameters.map(Ask::from_json).transpose()?.unwrap_or_default();
    let answers = instances.into_iter().map(|instance| prediction(api, request, instance, &parameters));
    let answers: Vec<_> = stream::iter(answers).buffered(INSTANCES_AT_ONCE).collect().await;
    predictions(answers)
}

/// One bad instance does not fail the others; when none is good, the first one's failure is the whole answer's, so that
/// a caller of a loading model sees its 503.
fn predictions(answers: Vec<Result<Value, Problem>>) -> Result<HttpResponse, Problem> {
    if let Some(Err(first)) = answers.first()
        && answers.iter().all(Result::is_err)
    {
        return Err(first.clone());
    }
    let shown =
        |answer: Result<Value, Problem>| answer.unwrap_or_else(|problem| json!({"error": problem.google_body()}));
    let predictions: Vec<Value> = answers.into_iter().map(shown).collect();
    Ok(HttpResponse::Ok().json(json!({"predictions": predictions})))
}

async fn prediction(api: &Api, request: &HttpRequest, instance: Value, parameters: &Ask) -> Result<Value, Problem> {
    let ask = Ask::from_json(instance)?.or(parameters);
    let (format, timestamps) = (ask.response_format.unwrap_or_default(), ask.timestamps.unwrap_or_default());
    let heard = hear(api, request, ask, None).await?;
    Ok(match format {
        Format::Json => render::prediction(&heard, timestamps),
        format => Value::String(render::text(&heard, format)),
    })
}

async fn hear(api: &Api, request: &HttpRequest, ask: Ask, raw: Option<Recording>) -> Result<Transcript, Problem> {
    let call = call(request, "vertex", ask.model.clone(), ask.wait)?;
    let transcription = api.service.transcribe(call, ask.listen(raw)?).await?;
    Ok(transcription.whole().await?)
}
