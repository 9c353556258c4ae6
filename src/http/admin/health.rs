//! Health, liveness, readiness. All of them read a snapshot: none waits on a lock, a queue or a device.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::json;

use crate::http::{
    api::Api,
    models::{
        health::{State, report, state},
        schemas::{Health, Liveness, Readiness},
    },
};

/// Whether the server does what it is for, by its loading mode.
#[utoipa::path(
    get, path = "/health", tag = "operation",
    responses(
        (status = 200, description = "Healthy", body = Health),
        (status = 503, description = "Models that load at start are not ready", body = Health),
    )
)]
pub(in crate::http) async fn health(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::build(state(&api).http_status()).json(report(&api))
}

/// Whether requests should be sent here. Loading one more model does not change that.
#[utoipa::path(
    get, path = "/health/ready", tag = "operation",
    responses((status = 200, description = "Yes", body = Readiness), (status = 503, description = "No", body = Readiness))
)]
pub(super) async fn ready(api: web::Data<Api>) -> HttpResponse {
    let state = state(&api);
    HttpResponse::build(state.http_status()).json(json!({"ready": state == State::Healthy, "status": state.as_str()}))
}

/// Whether the process should be left running. Never looks at a model, except that one which is busy without a step for
/// long is dead; and not where it has lost an accelerator, which only another process gets back.
#[utoipa::path(
    get, path = "/health/live", tag = "operation",
    responses((status = 200, description = "Yes", body = Liveness), (status = 503, description = "No", body = Liveness))
)]
pub(super) async fn live(api: web::Data<Api>) -> HttpResponse {
    let lifecycle = api.service.lifecycle();
    if let Some((device, reason)) = lifecycle.lost_device() {
        let body = json!({"live": false, "lost": {"device": device.to_string(), "reason": reason}});
        return HttpResponse::ServiceUnavailable().json(body);
    }
    match lifecycle.stalled(api.config.stall_timeout) {
        None => HttpResponse::Ok().json(json!({"live": true})),
        Some(model) => HttpResponse::ServiceUnavailable().json(json!({"live": false, "stalled": model})),
    }
}

/// As RunPod and SageMaker ask: 204 while the server gets ready.
#[utoipa::path(
    get, path = "/ping", tag = "operation",
    responses(
        (status = 200, description = "Healthy"),
        (status = 204, description = "Getting ready"),
        (status = 503, description = "Unhealthy"),
    )
)]
pub(super) async fn ping(api: web::Data<Api>) -> HttpResponse {
    let status = match state(&api) {
        State::Loading => StatusCode::NO_CONTENT,
        state => state.http_status(),
    };
    HttpResponse::new(status)
}
