//! What this server is, and whether it is well. Like all probes these read a snapshot and wait for nothing.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::{
    http::{
        api::Api,
        models::health,
        problem::{Problem, schemas::OipError},
    },
    speech::Kind,
};

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Server {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 2],
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Live {
    live: bool,
}

/// Two documents name two keys, so both are sent.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Ready {
    ready: bool,
    live: bool,
}

/// What this server is.
#[utoipa::path(get, path = "/v2", operation_id = "server_metadata", tag = "Open Inference Protocol", responses((status = 200, body = Server)))]
pub(super) async fn server() -> HttpResponse {
    let extensions = ["model_repository", "binary_tensor_data"];
    HttpResponse::Ok().json(Server { name: "sconce", version: env!("CARGO_PKG_VERSION"), extensions })
}

/// Whether the process is well.
#[utoipa::path(
    get,
    path = "/v2/health/live", operation_id = "server_live",
    tag = "Open Inference Protocol",
    responses((status = 200, body = Live), (status = 503, description = "A model hangs", body = OipError)),
)]
pub(super) async fn live(api: web::Data<Api>) -> HttpResponse {
    let lifecycle = api.service.lifecycle();
    if let Some((device, reason)) = lifecycle.lost_device() {
        return Problem::new(Kind::Unavailable, format!("{device} is lost to this process ({reason})")).passing().oip();
    }
    match lifecycle.stalled(api.config.stall_timeout) {
        None => HttpResponse::Ok().json(Live { live: true }),
        Some(model) => Problem::new(Kind::Unavailable, format!("the model {model} makes no step")).passing().oip(),
    }
}

/// Whether requests should be sent here, as `/health/ready` says it.
#[utoipa::path(
    get,
    path = "/v2/health/ready", operation_id = "server_ready",
    tag = "Open Inference Protocol",
    responses(
        (status = 200, body = Ready),
        (status = 503, description = "The models that load at start are not there, or the server stops",
            body = OipError),
    ),
)]
pub(super) async fn ready(api: web::Data<Api>) -> HttpResponse {
    match health::readiness(&api) {
        Ok(()) => HttpResponse::Ok().json(Ready { ready: true, live: true }),
        Err(state) => Problem::new(Kind::Unavailable, format!("the server is {state}")).passing().oip(),
    }
}
