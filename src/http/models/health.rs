//! How the server is: read from a snapshot, so that no probe waits on a lock, a queue or a device.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    http::api::Api,
    lifecycle::{LoadMode, ModelStatus, Snapshot, Status},
    speech::ModelName,
};

/// What `GET /health` answers with.
pub(in crate::http) fn report(api: &Api) -> Value {
    let snapshot = api.service.lifecycle().snapshot();
    let (status, models) = (state(api).as_str(), models(api, &snapshot));
    let mut report = json!({"status": status, "server": api.name, "load_mode": snapshot.mode, "models": models});
    if let Some(reason) = api.jobs.trouble() {
        report["jobs"] = json!({"error": reason});
    }
    report
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
pub(in crate::http) enum State {
    Healthy,
    /// The models that load at start are downloading or loading.
    Loading,
    /// One of them failed, or the server goes down.
    Unhealthy,
}

pub(in crate::http) fn state(api: &Api) -> State {
    let snapshot = api.service.lifecycle().snapshot();
    if api.draining.is_set() || snapshot.stopping || api.service.lifecycle().lost_device().is_some() {
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
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Loading => "loading",
            Self::Unhealthy => "unhealthy",
        }
    }

    pub fn http_status(self) -> StatusCode {
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
fn overall(snapshot: &Snapshot, default: &ModelName) -> Status {
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
