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
        native::{
            content::{Content, Matter},
            delivery::output_uri,
            fields::{self, Fields},
            job,
            request::NativeRequest,
        },
        problem::Problem,
        unknown::Unknown,
    },
    jobs::JobRequest,
    service::Recording,
};

const TAKEN: &str = "application/json, multipart/form-data, audio/*, video/*, application/octet-stream, text/plain or \
                     application/ssml+xml";
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

/// A request, checked as far as it can be without doing it: a wrong one fails now and not later.
pub(super) async fn read(api: &Api, request: &HttpRequest, body: Body) -> Result<JobRequest, Problem> {
    let key = key(request)?;
    let (mut fields, body) = fields_and_body(api, request, body).await?;
    let webhook = fields.remove("webhook").map(webhook).transpose()?;
    if api.administer(request).is_err() {
        // As of every other request.
        fields.remove("keep_alive");
    }
    let parameters = job::parameters(&fields);
    output_uri(&mut fields)?;
    let native = NativeRequest::read(&api.service, fields, body, &Content::default(), &Unknown::of(request))?;
    let job = job::job_request(api, native, parameters, access::allowance(request)).await?;
    Ok(JobRequest { webhook, key, ..job })
}

/// What a body says, and what is to be worked on where the body is that or holds it as a file.
async fn fields_and_body(api: &Api, request: &HttpRequest, body: Body) -> Result<(Fields, Option<Matter>), Problem> {
    match body.shape() {
        Shape::Json => Ok((fields::object(body.parse(api).await?)?, None)),
        Shape::Sound => {
            let hint = body.media_type.as_ref().map(ToString::to_string);
            Ok((fields::query(request)?, Some(Matter::Sound(Recording { bytes: body.bytes, hint }.into()))))
        }
        Shape::Text => {
            let fields = fields::merge(body.text_fields(), fields::query(request)?);
            Ok((fields, Some(Matter::Text(body.text(api, request)?))))
        }
        Shape::Form => {
            let mut form = Form::read(api, request, body).await?;
            let file = form.file()?;
            let mut fields = fields::query(request)?;
            fields.extend(values(form.into_texts()));
            Ok((fields, Some(Matter::Sound(file.into()))))
        }
        Shape::Other => Err(body.not_taken(TAKEN)),
    }
}

/// As [`fields::from_texts`] reads them; a webhook may be JSON as well.
fn values(texts: impl IntoIterator<Item = (String, String)>) -> Fields {
    let mut values = fields::from_texts(texts);
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
