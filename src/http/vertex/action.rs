//! `parameters.action`: status and administration for callers who reach nothing but the predict route, as on Vertex AI.
//! What changes something is closed wherever `http.admin` closes the routes that do the same.

use std::time::Duration;

use actix_web::{HttpRequest, http::StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    http::{
        access,
        api::Api,
        models::{
            download::{self, DownloadRequest},
            health, load, status as models_status,
        },
        native::job_body::JobBody,
        problem::Problem,
        wait,
    },
    jobs::{JobId, Jobs},
    speech::{Kind, ModelName},
};

/// What can be asked for by `action`. The other fields are those of the route that does the same.
#[derive(Deserialize)]
#[serde(tag = "action", deny_unknown_fields)]
enum Action {
    /// `GET /health`.
    #[serde(rename = "health")]
    Health {},
    /// `GET /models/status`.
    #[serde(rename = "models.status")]
    Status {},
    /// `POST /download-models`.
    #[serde(rename = "models.download")]
    Download(DownloadRequest),
    /// Into memory.
    #[serde(rename = "models.load")]
    Load { model: Option<String>, wait: Option<f64> },
    /// Out of memory, when its requests are over.
    #[serde(rename = "models.unload")]
    Unload { model: Option<String>, wait: Option<f64> },
    /// `GET /v1/jobs/{id}`.
    #[serde(rename = "jobs.status")]
    Job { id: String },
    /// `DELETE /v1/jobs/{id}`.
    #[serde(rename = "jobs.remove")]
    RemoveJob { id: String },
}

const ACTIONS: &str = "health, models.status, models.download, models.load, models.unload, jobs.status and jobs.remove";

/// Does it; what comes of it stands in place of a prediction, with the status that the route would have.
pub(super) async fn perform(
    api: &Api,
    request: &HttpRequest,
    parameters: Map<String, Value>,
) -> Result<(StatusCode, Value), Problem> {
    let done = |value: Value| Ok((StatusCode::OK, value));
    match read(parameters)? {
        Action::Health {} => done(health::report(api)),
        Action::Status {} => done(models_status::report(api)),
        Action::Download(asked) => {
            api.administer(request)?;
            download::download(api, request, asked).await
        }
        Action::Load { model, wait } => {
            let (name, wait) = target(api, request, model, wait)?;
            load::ensure_loaded(api, &name, wait).await?;
            done(status(api, &name))
        }
        Action::Unload { model, wait } => {
            let (name, wait) = target(api, request, model, wait)?;
            load::ensure_unloaded(api, &name, wait).await?;
            done(status(api, &name))
        }
        Action::Job { id } => done(json!(JobBody::from(&jobs(api, request).get(&JobId::named(&id)).await?))),
        Action::RemoveJob { id } => {
            let cancelled = jobs(api, request).remove(&JobId::named(&id)).await?;
            done(json!(cancelled.as_ref().map(JobBody::from)))
        }
    }
}

/// Those that the caller sees.
fn jobs(api: &Api, request: &HttpRequest) -> Jobs {
    api.jobs.seen_by(access::principal(request))
}

/// The model that is to be loaded or unloaded, and how long that may take, if the caller may say so.
fn target(
    api: &Api,
    request: &HttpRequest,
    model: Option<String>,
    wait: Option<f64>,
) -> Result<(ModelName, Duration), Problem> {
    api.administer(request)?;
    let name = api.service.catalog().resolve(model.as_deref())?.name.clone();
    let wait = wait.map(|seconds| wait::seconds("wait", seconds)).transpose()?;
    Ok((name, wait.unwrap_or(api.service.config().wait)))
}

fn status(api: &Api, name: &ModelName) -> Value {
    json!(api.service.lifecycle().snapshot().model(name))
}

fn read(parameters: Map<String, Value>) -> Result<Action, Problem> {
    let action = parameters.get("action").map(Value::to_string).unwrap_or_default();
    serde_json::from_value(Value::Object(parameters)).map_err(|error| {
        let message = format!("the action {action} cannot be done: {error}; there are {ACTIONS}");
        Problem::new(Kind::Invalid, message).about("action")
    })
}
