//! `POST /download-models`: brings models in before anybody asks for them, or tries again what failed.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    http::{Api, Problem, ask, body},
    lifecycle::{ModelStatus, Status, Target, Unavailable},
    speech::{Kind, ModelName},
};

/// All fields may be left out, and so may the body.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Names or aliases; those that load at start, or else the default model, if absent.
    models: Option<Vec<String>>,
    /// `true`: as long as a request would; `false`: not at all; or a number of seconds.
    wait: Option<Wait>,
    /// Into memory, not only onto the disk.
    load: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "wait should be true, false or a number of seconds")]
enum Wait {
    WhetherAtAll(bool),
    Seconds(f64),
}

type Outcomes = Vec<(ModelName, Result<ModelStatus, Unavailable>)>;

pub(super) async fn download(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    if !api.config.admin {
        return Err(Problem::new(Kind::Forbidden, "administration is closed here; `http.admin = true` opens it"));
    }
    let body = body::read(request, payload, api.config.body_limit).await?;
    let wanted: Wanted = if body.bytes.is_empty() { Wanted::default() } else { body.json()? };
    let target = if wanted.load.unwrap_or(true) { Target::Ready } else { Target::Fetched };
    let (names, wait) = (names(api, wanted.models)?, wait(api, request, wanted.wait)?);
    let outcomes = api.service.lifecycle().prepare(&names, target, Some(wait)).await;
    render(outcomes, target)
}

fn names(api: &Api, asked: Option<Vec<String>>) -> Result<Vec<ModelName>, Problem> {
    let catalog = api.service.catalog();
    let Some(asked) = asked else {
        let preloaded: Vec<_> =
            catalog.entries().filter(|entry| entry.preload).map(|entry| entry.name.clone()).collect();
        return Ok(if preloaded.is_empty() { vec![catalog.default().name.clone()] } else { preloaded });
    };
    let mut names = Vec::new();
    for name in asked {
        let name = &catalog.resolve(Some(&name))?.name;
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Ok(names)
}

fn wait(api: &Api, request: &HttpRequest, asked: Option<Wait>) -> Result<Duration, Problem> {
    match asked {
        Some(Wait::Seconds(seconds)) => ask::seconds("wait", seconds),
        Some(Wait::WhetherAtAll(false)) => Ok(Duration::ZERO),
        Some(Wait::WhetherAtAll(true)) => Ok(api.service.config().wait),
        None => Ok(ask::preferred_wait(request).unwrap_or(api.service.config().wait)),
    }
}

/// 200 when all is there, 202 while some is on its way, and the failure's own status when one failed.
fn render(outcomes: Outcomes, target: Target) -> Result<HttpResponse, Problem> {
    let mut models = Map::new();
    let (mut missing, mut failed) = (Vec::new(), None);
    for (name, outcome) in outcomes {
        let status = outcome?;
        if status.status == Status::Failed || status.error.is_some() {
            failed.get_or_insert_with(|| status.clone());
        } else if !reached(&status, target) {
            missing.push(name.to_string());
        }
        models.insert(name.to_string(), json!(status));
    }
    let (code, status, message) = match (failed, missing.is_empty()) {
        (Some(failed), _) => (StatusCode::SERVICE_UNAVAILABLE, "failed", failure(&failed)),
        (None, true) => (StatusCode::OK, "success", done(&models, target)),
        (None, false) => (
            StatusCode::ACCEPTED,
            "accepted",
            format!("on the way: {}; GET /models/status shows the progress", missing.join(", ")),
        ),
    };
    Ok(HttpResponse::build(code).json(json!({"status": status, "message": message, "models": Value::Object(models)})))
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
        Target::Fetched => format!("on this machine: {names}"),
    }
}

fn failure(status: &ModelStatus) -> String {
    let reason = status.error.as_ref().map_or("no reason is known", |error| &error.message);
    format!("{}: {reason}", status.name)
}
