//! Health, liveness, readiness. All of them read a snapshot: none waits on a lock, a queue or a device.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde_json::{Map, Value, json};

use super::bodies::{Health, Liveness, Readiness};
use crate::{
    http::Api,
    lifecycle::{LoadMode, ModelStatus, Snapshot, Status},
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

/// What `GET /health` answers with.
pub(in crate::http) fn report(api: &Api) -> Value {
    let snapshot = api.service.lifecycle().snapshot();
    json!({"status": state(api).as_str(), "load_mode": snapshot.mode, "models": models(api, &snapshot)})
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
/// long is dead.
#[utoipa::path(
    get, path = "/health/live", tag = "operation",
    responses((status = 200, description = "Yes", body = Liveness), (status = 503, description = "No", body = Liveness))
)]
pub(super) async fn live(api: web::Data<Api>) -> HttpResponse {
    match api.service.lifecycle().stalled(api.config.stall_timeout) {
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

/// Whether requests should be sent here, or what the server is instead.
pub(in crate::http) fn readiness(api: &Api) -> Result<(), &'static str> {
    match state(api) {
        State::Healthy => Ok(()),
        state => Err(state.as_str()),
    }
}

/// What a load balancer wants to know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Healthy,
    /// The models that load at start are on their way.
    Loading,
    /// One of them failed, or the server goes down.
    Unhealthy,
}

fn state(api: &Api) -> State {
    let snapshot = api.service.lifecycle().snapshot();
    if api.draining.is_set() || snapshot.stopping {
        State::Unhealthy
    } else if snapshot.mode != LoadMode::Startup || snapshot.preload_complete {
        State::Healthy
    } else if snapshot.preload_failed.is_some() {
        State::Unhealthy
    } else {
        State::Loading
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Loading => "loading",
            Self::Unhealthy => "unhealthy",
        }
    }

    fn http_status(self) -> StatusCode {
        match self {
            Self::Healthy => StatusCode::OK,
            Self::Loading | Self::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// `{"status", "default", "<name>": {…}}`: what loads at start, the default model, and whatever else is in use.
fn models(api: &Api, snapshot: &Snapshot) -> Map<String, Value> {
    let catalog = api.service.catalog();
    let default = &catalog.default().name;
    let shown = |model: &&ModelStatus| model.preload || model.name == *default || model.status != Status::NotLoaded;
    let mut models = Map::new();
    models.insert("status".into(), json!(overall(snapshot, default)));
    models.insert("default".into(), json!(default));
    models.extend(snapshot.models.iter().filter(shown).map(|model| (model.name.to_string(), json!(model))));
    models
}

/// The least ready state among the models that load at start; where none does, the default model's.
fn overall(snapshot: &Snapshot, default: &crate::speech::ModelName) -> Status {
    let by_itself = |status: &Status| match status {
        Status::Failed => 0,
        Status::NotLoaded => 1,
        Status::Downloading => 2,
        Status::Loading => 3,
        Status::Ready => 4,
    };
    let preloaded = snapshot.models.iter().filter(|model| model.preload).map(|model| model.status);
    let lowest = preloaded.min_by_key(by_itself).filter(|_| snapshot.mode != LoadMode::OnDemand);
    lowest.or_else(|| snapshot.model(default).map(|model| model.status)).unwrap_or(Status::NotLoaded)
}
