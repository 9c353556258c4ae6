//! The repository extension: what is loaded, and loading and unloading by hand.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{address::Address, models};
use crate::{
    catalog::Entry,
    http::{
        api::Api,
        body,
        models::load,
        problem::{Problem, schemas::OipError},
        wait,
    },
    speech::Kind,
};

/// What of the index is wanted.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(super) struct IndexQuery {
    /// Only models that can be asked at once.
    #[serde(default)]
    ready: bool,
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(super) struct RepositoryRequest {
    /// `wait`: seconds to wait for it; as long as a request would, if absent.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
}

/// The state of one model.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Listed {
    name: String,
    version: Option<String>,
    /// READY, LOADING or UNAVAILABLE.
    state: &'static str,
    reason: String,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Loaded {
    name: String,
    load: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Unloaded {
    name: String,
    unload: bool,
}

/// Every model and its state.
#[utoipa::path(
    post,
    path = "/v2/repository/index", operation_id = "repository_index",
    tag = "Open Inference Protocol",
    request_body = Option<IndexQuery>,
    responses((status = 200, body = Vec<Listed>)),
)]
pub(super) async fn index(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let query: Result<IndexQuery, _> = body::optional(&api, &request, payload).await;
    match query {
        Ok(query) => HttpResponse::Ok().json(listed(&api, query.ready)),
        Err(problem) => problem.oip(),
    }
}

fn listed(api: &Api, only_ready: bool) -> Vec<Listed> {
    let catalog = api.service.catalog();
    let entries = catalog.entries().map(|entry| {
        let (state, reason) = models::state(api, entry);
        Listed { name: entry.slug.clone(), version: models::version(api, entry), state, reason }
    });
    entries.filter(|listed| !only_ready || listed.state == "READY").collect()
}

/// Brings a model into memory, and tries again at once what failed before.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{model}/load", operation_id = "repository_load",
    tag = "Open Inference Protocol",
    params(("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`")),
    request_body = Option<RepositoryRequest>,
    responses(
        (status = 200, description = "Loaded", body = Loaded),
        (status = 503, description = "Loading, or not available", body = OipError),
    ),
)]
pub(super) async fn load(
    api: web::Data<Api>,
    address: web::Path<Address>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match load_model(&api, &address, &request, payload).await {
        Ok(name) => HttpResponse::Ok().json(Loaded { name, load: true }),
        Err(problem) => problem.oip(),
    }
}

async fn load_model(
    api: &Api,
    address: &Address,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<String, Problem> {
    let (entry, wait) = target(api, address, request, payload).await?;
    load::ensure_loaded(api, &entry.name, wait).await?;
    Ok(entry.slug.clone())
}

/// Takes a model out of memory, after the requests that it works on.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{model}/unload", operation_id = "repository_unload",
    tag = "Open Inference Protocol",
    params(("model" = String, Path, description = "Any name of the model, without `/` or with it as `%2F`")),
    request_body = Option<RepositoryRequest>,
    responses(
        (status = 200, description = "Unloaded", body = Unloaded),
        (status = 503, description = "Busy; unloaded when its requests are done", body = OipError),
    ),
)]
pub(super) async fn unload(
    api: web::Data<Api>,
    address: web::Path<Address>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match unload_model(&api, &address, &request, payload).await {
        Ok(name) => HttpResponse::Ok().json(Unloaded { name, unload: true }),
        Err(problem) => problem.oip(),
    }
}

async fn unload_model(
    api: &Api,
    address: &Address,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<String, Problem> {
    let (entry, wait) = target(api, address, request, payload).await?;
    load::ensure_unloaded(api, &entry.name, wait).await?;
    Ok(entry.slug.clone())
}

/// The model that is to be loaded or unloaded, and how long that may take, if the caller may say so.
async fn target(
    api: &Api,
    address: &Address,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Entry, Duration), Problem> {
    api.administer(request)?;
    let RepositoryRequest { parameters } = body::optional(api, request, payload).await?;
    // What an unloaded model leaves behind are no models of its own, so none depends on it.
    let known = ["wait", "unload_dependents"];
    if let Some(name) = parameters.keys().find(|name| !known.contains(&name.as_str())) {
        let message = format!("the parameter {name} is not served: models come from where the configuration says");
        return Err(Problem::new(Kind::Unsupported, message).about(name));
    }
    let wait = match parameters.get("wait") {
        Some(wait) => wait::seconds("wait", wait.as_f64().unwrap_or(f64::NAN))?,
        None => wait::preferred_wait(request).unwrap_or(api.service.config().wait),
    };
    Ok((models::find(api, address)?, wait))
}
