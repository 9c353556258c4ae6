//! What became of models that were to be brought in.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    http::problem::Problem,
    lifecycle::{ModelStatus, Obstacle, Status, Target, Unavailable},
    speech::ModelName,
};

type Outcomes = Vec<(ModelName, Result<ModelStatus, Unavailable>)>;

/// 200 when all is there, 202 while some is loading; when one failed 503, or 507 where it is larger than the memory that
/// models may take.
pub(in crate::http) fn render(outcomes: Outcomes, target: Target) -> Result<(StatusCode, Value), Problem> {
    let mut models = Map::new();
    let (mut missing, mut failed) = (Vec::new(), None);
    for (name, outcome) in outcomes {
        let status = outcome?;
        let updating = status.update.as_ref().is_some_and(|update| update.error.is_none());
        if status.status == Status::Failed || status.error.is_some() {
            failed.get_or_insert_with(|| status.clone());
        } else if updating || !reached(&status, target) {
            missing.push(name.to_string());
        }
        models.insert(name.to_string(), json!(status));
    }
    let (code, status, message) = match (failed, missing.is_empty()) {
        (Some(failed), _) => (failure_status(&failed), "failed", failure(&failed)),
        (None, true) => (StatusCode::OK, "success", done(&models, target)),
        (None, false) => (
            StatusCode::ACCEPTED,
            "accepted",
            format!("loading: {}; GET /models/status shows the progress", missing.join(", ")),
        ),
    };
    Ok((code, json!({"status": status, "message": message, "models": Value::Object(models)})))
}

fn reached(status: &ModelStatus, target: Target) -> bool {
    match target {
        Target::Ready => status.status == Status::Ready,
        Target::Fetched => status.fetched,
    }
}

fn done(models: &Map<String, Value>, target: Target) -> String {
    let names = models.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match target {
        Target::Ready => format!("ready: {names}"),
        Target::Fetched => format!("downloaded: {names}"),
    }
}

fn failure_status(status: &ModelStatus) -> StatusCode {
    match status.error.as_ref().and_then(|error| error.obstacle.as_ref()) {
        Some(Obstacle::TooLarge(_)) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn failure(status: &ModelStatus) -> String {
    let reason = status.error.as_ref().map_or("no reason is known", |error| &error.message);
    format!("{}: {reason}", status.name)
}
