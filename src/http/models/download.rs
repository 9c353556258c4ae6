//! Bringing models in before anybody asks for them, or trying again what failed.

use std::time::Duration;

use actix_web::{HttpRequest, http::StatusCode};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    outcome::{self, Outcomes},
    schemas,
    wait::Wait,
};
use crate::{
    http::{api::Api, problem::Problem},
    lifecycle::{ModelStatus, Target, Unavailable},
    speech::ModelName,
};

/// All fields may be left out, and so may the body.
#[derive(Default, Deserialize, ToSchema)]
#[schema(example = json!({"models": ["whisper-nano.en"], "wait": 30, "load": true}))]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Wanted {
    /// Names or aliases; those that load at start, or else the default model, if absent.
    models: Option<Vec<Named>>,
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
enum Named {
    Name(String),
    At(At),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct At {
    name: String,
    revision: Option<String>,
}

/// What is to become of a model.
struct Step {
    name: ModelName,
    /// Brought to another edition, of that revision or of the branch that it is from.
    update: bool,
    revision: Option<String>,
}

/// Brings models in; how far they are then, and the status that says it.
pub(in crate::http) async fn bring(
    api: &Api,
    request: &HttpRequest,
    wanted: Wanted,
) -> Result<(StatusCode, Value), Problem> {
    let target = if wanted.load.unwrap_or(true) { Target::Ready } else { Target::Fetched };
    let (steps, wait) = (steps(api, wanted.models, wanted.update)?, Wait::to_load(api, request, wanted.wait)?);
    if target == Target::Fetched && steps.iter().any(|step| step.update) {
        return Err(Problem::invalid("load", "an update ends with the model in memory; leave load out"));
    }
    let outcomes = join_all(steps.into_iter().map(|step| carry_out(api, step, target, wait))).await;
    outcome::render(outcomes, target)
}

fn steps(api: &Api, asked: Option<Vec<Named>>, update: bool) -> Result<Vec<Step>, Problem> {
    let catalog = api.service.catalog();
    let Some(asked) = asked else {
        let preloaded: Vec<_> = catalog.entries().filter(|entry| entry.preload).map(|entry| &entry.name).collect();
        let names = if preloaded.is_empty() { vec![&catalog.default().name] } else { preloaded };
        return Ok(names.into_iter().map(|name| Step { name: name.clone(), update, revision: None }).collect());
    };
    let mut steps: Vec<Step> = Vec::new();
    for named in asked {
        let At { name, revision } = match named {
            Named::Name(name) => At { name, revision: None },
            Named::At(at) => at,
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
    let (lifecycle, Step { name, update, revision }) = (api.service.lifecycle(), step);
    let outcome = match update {
        true => lifecycle.update(&name, revision.as_deref(), Some(wait)).await,
        false => prepared(lifecycle.prepare(std::slice::from_ref(&name), target, Some(wait)).await, &name),
    };
    (name, outcome)
}

fn prepared(outcomes: Outcomes, name: &ModelName) -> Result<ModelStatus, Unavailable> {
    let outcome = outcomes.into_iter().next().map(|(_, outcome)| outcome);
    outcome.unwrap_or_else(|| Err(Unavailable::NotServed { model: name.clone() }))
}
