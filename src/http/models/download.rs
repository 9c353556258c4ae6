//! Bringing models in before anybody asks for them, or trying again what failed.

use std::time::Duration;

use actix_web::{HttpRequest, http::StatusCode};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{load::prepare, outcome, schemas, wait::Wait};
use crate::{
    http::{api::Api, problem::Problem},
    lifecycle::{ModelStatus, Target, Unavailable},
    speech::ModelName,
};

/// All fields may be left out, and so may the body.
#[derive(Default, Deserialize, ToSchema)]
#[schema(example = json!({"models": ["whisper-nano.en"], "wait": 30, "load": true}))]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DownloadRequest {
    /// Names or aliases; those that load at start, or else the default model, if absent.
    models: Option<Vec<ModelChoice>>,
    /// Whatever is newer at their sources, also of models that are here: a branch may have moved.
    #[serde(default)]
    update: bool,
    /// `true`: as long as a request would; `false`: not at all; or a number of seconds.
    #[schema(schema_with = schemas::wait)]
    wait: Option<Wait>,
    /// Into memory, not only onto the disk.
    load: Option<bool>,
}

/// A model, and the revision of its source that it is to be brought to, if that is said.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "a model is a name, or {\"name\": …, \"revision\": …}")]
enum ModelChoice {
    Name(String),
    Revision(ModelRevision),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ModelRevision {
    name: String,
    revision: Option<String>,
}

/// What is to become of a model.
struct Step {
    name: ModelName,
    /// Brought to another version, of that revision or of the branch that it is from.
    update: bool,
    revision: Option<String>,
}

/// Brings models in; how far they are then, and the status that says it.
pub(in crate::http) async fn download(
    api: &Api,
    request: &HttpRequest,
    asked: DownloadRequest,
) -> Result<(StatusCode, Value), Problem> {
    let target = if asked.load.unwrap_or(true) { Target::Ready } else { Target::Fetched };
    let (steps, wait) = (steps(api, asked.models, asked.update)?, Wait::to_load(api, request, asked.wait)?);
    if target == Target::Fetched && steps.iter().any(|step| step.update) {
        return Err(Problem::invalid("load", "an update ends with the model in memory; leave load out"));
    }
    let outcomes = join_all(steps.into_iter().map(|step| carry_out(api, step, target, wait))).await;
    outcome::render(outcomes, target)
}

fn steps(api: &Api, asked: Option<Vec<ModelChoice>>, update: bool) -> Result<Vec<Step>, Problem> {
    let catalog = api.service.catalog();
    let Some(asked) = asked else {
        let preloaded: Vec<_> = catalog.entries().filter(|entry| entry.preload).map(|entry| &entry.name).collect();
        let names = if preloaded.is_empty() { vec![&catalog.default().name] } else { preloaded };
        return Ok(names.into_iter().map(|name| Step { name: name.clone(), update, revision: None }).collect());
    };
    let mut steps: Vec<Step> = Vec::new();
    for named in asked {
        let ModelRevision { name, revision } = match named {
            ModelChoice::Name(name) => ModelRevision { name, revision: None },
            ModelChoice::Revision(at) => at,
        };
        let name = catalog.resolve(Some(&name))?.name.clone();
        match steps.iter().find(|step| step.name == name) {
            None => steps.push(Step { name, update: update || revision.is_some(), revision }),
            Some(step) if step.revision == revision => {}
            Some(_) => return Err(Problem::invalid("models", format!("{name} stands there at two revisions"))),
        }
    }
    Ok(steps)
}

async fn carry_out(
    api: &Api,
    step: Step,
    target: Target,
    wait: Duration,
) -> (ModelName, Result<ModelStatus, Unavailable>) {
    let Step { name, update, revision } = step;
    let outcome = match update {
        true => api.service.lifecycle().update(&name, revision.as_deref(), Some(wait)).await,
        false => prepare(api, &name, target, wait).await,
    };
    (name, outcome)
}
