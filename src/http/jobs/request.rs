//! What a job is made from: a native body of any kind, with a webhook beside it.

use actix_web::HttpRequest;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    http::{
        access,
        api::Api,
        body::{Body, Shape},
        form::Form,
        native::request::{self as ask, Ask},
        problem::Problem,
    },
    jobs::{self, JobRequest},
    service::{Recording, ServiceError},
    speech::{TaskKind, Transcribe},
};

const TAKEN: &str = "application/json, multipart/form-data, audio/*, video/* or application/octet-stream";
const KEY: &str = "idempotency-key";
/// Longer keys are refused: they are kept as long as the job.
const LONGEST_KEY: usize = 255;

/// Who is told at the end: `{"url": …}`, or the address alone.
#[derive(Deserialize)]
#[serde(untagged, expecting = "webhook should be {\"url\": \"https://…\"}")]
enum Webhook {
    Address(String),
    Object(Object),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    url: String,
}

/// A request, checked as far as it can be without hearing it: a wrong one fails now and not later.
pub(super) async fn read(api: &Api, request: &HttpRequest, body: Body) -> Result<JobRequest, Problem> {
    let key = key(request)?;
    let (mut fields, recording) = match body.shape() {
        Shape::Json => (body.json()?, None),
        Shape::Sound => {
            let hint = body.media_type.as_ref().map(ToString::to_string);
            (Value::Object(ask::query(request)?), Some(Recording { bytes: body.bytes, hint }))
        }
        Shape::Form => {
            let mut form = Form::read(request, body).await?;
            let file = form.file()?;
            let mut fields = ask::query(request)?;
            fields.extend(values(form.into_texts()));
            (Value::Object(fields), Some(file))
        }
        Shape::Other => return Err(body.not_taken(TAKEN)),
    };
    let webhook = fields.as_object_mut().and_then(|fields| fields.remove("webhook")).map(webhook).transpose()?;
    let mut ask = Ask::from_json(fields)?;
    if ask.task() != TaskKind::Transcribe {
        return Err(api.service.refuse("jobs", ask.model.as_deref(), ask.task()).into());
    }
    api.service.check::<Transcribe>(ask.model.as_deref())?;
    let recording = ask.recording(api, recording).await?;
    ask.clone().listen(recording.clone())?;
    // Now and not when it runs: who has nothing left is told so, and a job that was taken is done.
    if let Some(allowance) = access::allowance(request) {
        allowance.take_audio(api.service.seconds(recording.clone()).await?).map_err(ServiceError::from)?;
    }
    let Recording { bytes, hint } = recording;
    Ok(JobRequest { parameters: compact(&ask), recording: Some(jobs::Recording { bytes, hint }), webhook, key })
}

/// The fields that say something.
fn compact(ask: &Ask) -> Value {
    let mut value = serde_json::json!(ask);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

/// As [`ask::fields`] reads them; a webhook may be JSON as well.
fn values(texts: impl IntoIterator<Item = (String, String)>) -> serde_json::Map<String, Value> {
    let mut values = ask::fields(texts);
    if let Some(webhook) = values.get_mut("webhook") {
        let object = webhook.as_str().and_then(|text| serde_json::from_str(text).ok()).filter(Value::is_object);
        *webhook = object.unwrap_or(webhook.take());
    }
    values
}

fn webhook(value: Value) -> Result<String, Problem> {
    let webhook = serde_json::from_value(value).map_err(|error| Problem::invalid("webhook", error.to_string()))?;
    Ok(match webhook {
        Webhook::Address(url) | Webhook::Object(Object { url }) => url,
    })
}

fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get(KEY) else { return Ok(None) };
    let fine = |key: &&str| !key.is_empty() && key.len() <= LONGEST_KEY;
    let key = value.to_str().ok().filter(fine).map(str::to_owned);
    let wrong = || Problem::invalid("Idempotency-Key", format!("Idempotency-Key should be 1 to {LONGEST_KEY} letters"));
    key.ok_or_else(wrong).map(Some)
}
