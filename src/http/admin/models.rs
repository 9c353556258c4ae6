//! `POST /models/{name}/load` and `POST /models/{name}/unload`.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{
        api::Api,
        body,
        models::{
            load::{Unloaded, prepare, unload},
            outcome,
            schemas::{self, LoadFailure, Outcome},
            wait::Wait,
        },
        problem::Problem,
    },
    lifecycle::Target,
    speech::ModelName,
};

/// An idle model is gone in less; a busy one is drained, and whoever wants to see the end of that says `wait`.
const A_MOMENT: Duration = Duration::from_secs(2);

/// The body and the query; both may be left out, and the query is the stronger.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadRequest {
    #[schema(schema_with = schemas::wait)]
    wait: Option<Wait>,
    /// To load: another revision of its source, beside the one that serves until this one does.
    revision: Option<String>,
}

/// What is said of a model that was to go.
#[derive(Serialize, ToSchema)]
struct Unloading {
    /// `success`, or `accepted` while it works.
    status: &'static str,
    message: String,
}

/// Brings a model into memory, or to another revision beside the one that serves.
#[utoipa::path(
    post, path = "/models/{name}/load", tag = "operation",
    params(("name" = String, Path, description = "Any name of the model, with its `/` as it is or as `%2F`")),
    request_body(content = Option<LoadRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "Loaded", body = Outcome),
        (status = 202, description = "Loading", body = Outcome),
        (status = 503, description = "Failed, or not available", body = LoadFailure),
    )
)]
pub(super) async fn post_load(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        api.administer(&request)?;
        let wanted = wanted(&api, &request, payload).await?;
        let name = resolve(&api, &name)?;
        let wait = Wait::to_load(&api, &request, wanted.wait)?;
        let outcome = match &wanted.revision {
            Some(revision) => api.service.lifecycle().update(&name, Some(revision), Some(wait)).await,
            None => prepare(&api, &name, Target::Ready, wait).await,
        };
        let (status, outcome) = outcome::render(vec![(name, outcome)], Target::Ready)?;
        Ok::<_, Problem>(HttpResponse::build(status).json(outcome))
    };
    answer.await.unwrap_or_else(|problem| problem.google())
}

/// Sends a model away, after the requests that it works on.
#[utoipa::path(
    post, path = "/models/{name}/unload", tag = "operation",
    params(("name" = String, Path, description = "Any name of the model, with its `/` as it is or as `%2F`")),
    request_body(content = Option<LoadRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "Not in memory", body = Unloading),
        (status = 202, description = "Busy; unloaded when its requests are done", body = Unloading),
    )
)]
pub(super) async fn post_unload(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        api.administer(&request)?;
        let wanted = wanted(&api, &request, payload).await?;
        if wanted.revision.is_some() {
            return Err(Problem::invalid("revision", "a model is unloaded whatever its revision is; leave it out"));
        }
        let name = resolve(&api, &name)?;
        let wait = Wait::settle(&api, &request, wanted.wait, A_MOMENT)?;
        Ok::<_, Problem>(render(&name, unload(&api, &name, wait).await?))
    };
    answer.await.unwrap_or_else(|problem| problem.google())
}

async fn wanted(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<LoadRequest, Problem> {
    let body: LoadRequest = body::optional(api, request, payload).await?;
    let query = web::Query::<LoadRequest>::from_query(request.query_string());
    let query = query.map_err(|error| Problem::invalid("query", error.to_string()))?.into_inner();
    Ok(LoadRequest { wait: query.wait.or(body.wait), revision: query.revision.or(body.revision) })
}

/// A name or alias, as it is or with `%2F` for its `/`.
fn resolve(api: &Api, name: &str) -> Result<ModelName, Problem> {
    Ok(api.service.catalog().resolve(Some(name))?.name.clone())
}

fn render(name: &ModelName, unloaded: Unloaded) -> HttpResponse {
    match unloaded {
        Unloaded::Gone => {
            let message = format!("{name} is not in memory");
            HttpResponse::Ok().json(Unloading { status: "success", message })
        }
        Unloaded::Draining => {
            let message = format!("{name} takes no new requests and goes when those it has are answered");
            HttpResponse::Accepted().json(Unloading { status: "accepted", message })
        }
    }
}
