//! Which models there are, what they take, and whether they are ready.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::Value;

use super::{address::Address, signature};
use crate::{
    catalog::Entry,
    http::{
        api::Api,
        problem::{Problem, schemas::OipError},
    },
    lifecycle::Status,
    model::Availability,
    speech::{Kind, TaskKind},
};

/// What there is.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OipModels)]
pub(super) struct Models {
    /// Names without `/`.
    models: Vec<String>,
}

/// What a model takes and gives.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Metadata {
    name: String,
    /// The revision that serves, once one is known.
    versions: Vec<String>,
    platform: String,
    /// `{"name", "datatype", "shape"}`; -1 is a side of any length. `parameters.optional`: an
    /// input may be left out, and an output is there only if it is named.
    #[schema(value_type = Vec<Object>)]
    inputs: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    outputs: Vec<Value>,
}

/// The answer for a model that is ready.
#[derive(Serialize, utoipa::ToSchema)]
struct ModelReady {
    name: String,
    ready: bool,
}

/// The models that this build can serve.
#[utoipa::path(get, path = "/v2/models", operation_id = "model_names", tag = "Open Inference Protocol", responses((status = 200, body = Models)))]
pub(super) async fn list(api: web::Data<Api>) -> HttpResponse {
    let catalog = api.service.catalog();
    let available = catalog.entries().filter(|entry| entry.availability == Availability::Available);
    HttpResponse::Ok().json(Models { models: available.map(|entry| entry.slug.clone()).collect() })
}

/// What a model takes and gives.
#[utoipa::path(
    get,
    path = "/v2/models/{model}", operation_id = "model_metadata",
    tag = "Open Inference Protocol",
    params(("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`")),
    responses((status = 200, body = Metadata)),
)]
pub(super) async fn metadata(api: web::Data<Api>, address: web::Path<Address>) -> HttpResponse {
    match find(&api, &address) {
        Ok(entry) => HttpResponse::Ok().json(describe(&api, &entry)),
        Err(problem) => problem.oip(),
    }
}

/// The same, if that version serves.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions/{version}", operation_id = "model_metadata_version",
    tag = "Open Inference Protocol",
    params(
        ("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`"),
        ("version" = String, Path, description = "The revision that serves"),
    ),
    responses(
        (status = 200, body = Metadata),
    ),
)]
pub(super) async fn metadata_version(api: web::Data<Api>, address: web::Path<Address>) -> HttpResponse {
    metadata(api, address).await
}

/// Whether a model is in memory, so that a request finds it at once.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/ready", operation_id = "model_ready",
    tag = "Open Inference Protocol",
    params(("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`")),
    responses(
        (status = 200, description = "Ready", body = ModelReady),
        (status = 503, description = "Not ready, with the status", body = OipError),
    ),
)]
pub(super) async fn ready(api: web::Data<Api>, address: web::Path<Address>) -> HttpResponse {
    match is_ready(&api, &address) {
        Ok(name) => HttpResponse::Ok().json(ModelReady { name, ready: true }),
        Err(problem) => problem.oip(),
    }
}

/// The same, of a version.
#[utoipa::path(
    get,
    path = "/v2/models/{model}/versions/{version}/ready", operation_id = "model_ready_version",
    tag = "Open Inference Protocol",
    params(
        ("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`"),
        ("version" = String, Path, description = "The revision that serves"),
    ),
    responses(
        (status = 200, description = "Ready", body = ModelReady),
        (status = 503, description = "Not ready, with the status", body = OipError),
    ),
)]
pub(super) async fn ready_version(api: web::Data<Api>, address: web::Path<Address>) -> HttpResponse {
    ready(api, address).await
}

fn is_ready(api: &Api, address: &Address) -> Result<String, Problem> {
    let entry = find(api, address)?;
    let status = api.service.lifecycle().snapshot().model(&entry.name).map_or(Status::NotLoaded, |model| model.status);
    match status {
        Status::Ready => Ok(entry.slug.clone()),
        status => {
            Err(Problem::new(Kind::Loading, format!("the model {} is {}", entry.name, status.as_str())).passing())
        }
    }
}

/// The model of an address, if the version that it may name is the one that serves.
pub(super) fn find(api: &Api, address: &Address) -> Result<Entry, Problem> {
    let entry = api.service.catalog().resolve(Some(&address.model))?.clone();
    let Some(asked) = &address.version else { return Ok(entry) };
    match version(api, &entry) {
        Some(version) if version == *asked => Ok(entry),
        Some(version) => {
            let message = format!("the model {} has no version {asked:?} here; {version:?} serves", entry.name);
            Err(Problem::new(Kind::NotFound, message))
        }
        None => {
            let message = format!("no version of the model {} is known here yet; leave it out of the path", entry.name);
            Err(Problem::new(Kind::NotFound, message))
        }
    }
}

/// The revision of a model that is on this machine.
pub(super) fn version(api: &Api, entry: &Entry) -> Option<String> {
    api.service.lifecycle().snapshot().model(&entry.name)?.revision.clone()
}

fn describe(api: &Api, entry: &Entry) -> Metadata {
    // Of a model whose family is not known yet, whatever it may turn out to be.
    let tasks = entry.tasks().unwrap_or(&TaskKind::ALL);
    Metadata {
        name: entry.slug.clone(),
        versions: version(api, entry).into_iter().collect(),
        platform: entry.family.map_or("sconce".to_owned(), |family| format!("sconce_{}", family.name())),
        inputs: signature::described(tasks, signature::inputs),
        outputs: signature::described(tasks, signature::outputs),
    }
}

/// What the index of the repository says of a model, and why.
pub(super) fn state(api: &Api, entry: &Entry) -> (&'static str, String) {
    let snapshot = api.service.lifecycle().snapshot();
    let model = snapshot.model(&entry.name);
    match (&entry.availability, model.map(|model| model.status)) {
        (Availability::Unsupported(reason), _) => ("UNAVAILABLE", reason.to_string()),
        (_, Some(Status::Ready)) => ("READY", String::new()),
        (_, Some(status @ (Status::Downloading | Status::Loading))) => ("LOADING", status.as_str().to_owned()),
        (_, Some(Status::Failed)) => {
            let error = model.and_then(|model| model.error.as_ref());
            ("UNAVAILABLE", error.map_or("failed".to_owned(), |error| error.message.clone()))
        }
        (_, Some(Status::NotLoaded) | None) => ("UNAVAILABLE", "unloaded".to_owned()),
    }
}
