//! Requests that outlive their connection: asked here, fetched later.

mod events;
mod request;
mod sound;
mod worker;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde::Deserialize;

pub use worker::JobWorker;

use super::{
    access,
    api::Api,
    body,
    native::job_body::{JobBody, JobList},
    problem::Problem,
    sse,
};
use crate::jobs::{JobId, Jobs, Phase};

/// Jobs in a list, unless the caller says otherwise, and at most.
const LISTED: usize = 100;
const LONGEST_LIST: usize = 1000;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/v1/jobs").route(web::post().to(create)).route(web::get().to(list)))
        .service(web::resource("/v1/jobs/{id}").route(web::get().to(one)).route(web::delete().to(remove)))
        .service(web::resource("/v1/jobs/{id}/events").route(web::get().to(events)))
        .service(web::resource("/v1/jobs/{id}/audio").route(web::get().to(sound::audio)));
}

/// What stands in the OpenAPI document about jobs.
#[derive(utoipa::OpenApi)]
#[openapi(paths(create, list, one, remove, events, sound::audio), components(schemas(JobBody, JobList)))]
pub(super) struct Docs;

/// Which jobs to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Only those in this status.
    status: Option<Phase>,
    /// At most so many, 1 to 1000; 100 if absent.
    limit: Option<usize>,
}

/// Takes a request down and answers at once; `GET /v1/jobs/{id}` has the rest.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    operation_id = "create_job",
    tag = "jobs",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and request again is the same job")),
    request_body(
        content(
            (serde_json::Value = "application/json"),
            (Vec<u8> = "audio/*"),
            (String = "text/plain"),
            (String = "application/ssml+xml"),
            (Vec<u8> = "multipart/form-data"),
        ),
        description = "A native request, as `/predict` takes it without an envelope, with an optional `webhook: {url}` \
                       and `output_uri`. For raw audio or text, the fields are query parameters.",
    ),
    responses(
        (status = 202, body = JobBody, headers(("Location" = String, description = "Where the job is"))),
        (status = 400, description = "The request is wrong, or its Idempotency-Key belongs to another one"),
        (status = 404, description = "There is no such model"),
        (status = 408, description = "The body did not arrive in time"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is of a type that is not taken"),
        (status = 429, description = "Too many jobs are held; Retry-After says when to come back"),
        (status = 503, description = "The server is stopping, or could not write the job down"),
    ),
)]
async fn create(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    created(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

async fn created(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api).await?;
    let job = request::read(api, request, body).await?;
    let job = JobBody::from(&jobs(api, request).submit(job).await?);
    let location = format!("/v1/jobs/{}", job.id);
    Ok(HttpResponse::Accepted().insert_header((header::LOCATION, location)).json(job))
}

/// The jobs that are held, newest first, without their results. A key sees its own; one with the scope `admin` all.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    operation_id = "jobs",
    tag = "jobs",
    params(Filter),
    responses((status = 200, body = JobList), (status = 400, description = "The query is wrong")),
)]
async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    listed(&api, &request).await.unwrap_or_else(|problem| problem.google())
}

async fn listed(api: &Api, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let query = web::Query::<Filter>::from_query(request.query_string());
    let Filter { status, limit } =
        query.map_err(|error| Problem::invalid("query", format!("the query cannot be read: {error}")))?.into_inner();
    let limit = limit.unwrap_or(LISTED);
    if !(1..=LONGEST_LIST).contains(&limit) {
        return Err(Problem::invalid("limit", format!("limit is {limit}; 1 to {LONGEST_LIST} would be right")));
    }
    let jobs = jobs(api, request).list(status, limit).await?.iter().map(JobBody::from).collect();
    Ok(HttpResponse::Ok().json(JobList { jobs }))
}

/// A job, and when it has succeeded its result.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "job",
    tag = "jobs",
    params(("id" = String, Path)),
    responses((status = 200, body = JobBody), (status = 404, description = "There is no such job")),
)]
async fn one(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    match jobs(&api, &request).get(&JobId::named(&id)).await {
        Ok(view) => HttpResponse::Ok().json(JobBody::from(&view)),
        Err(refusal) => Problem::from(refusal).google(),
    }
}

/// Cancels a job that has not ended; removes one that has.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    operation_id = "remove_job",
    tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = JobBody, description = "Cancelled"),
        (status = 204, description = "It had ended, and is removed now"),
        (status = 404, description = "There is no such job"),
    ),
)]
async fn remove(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    match jobs(&api, &request).remove(&JobId::named(&id)).await {
        Ok(Some(view)) => HttpResponse::Ok().json(JobBody::from(&view)),
        Ok(None) => HttpResponse::NoContent().finish(),
        Err(refusal) => Problem::from(refusal).google(),
    }
}

/// What happens to a job, as server-sent events: its status, its segments as they come, how far a model is that tells it, and at
/// the end the whole job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/events",
    operation_id = "job_events",
    tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 404, description = "There is no such job"),
    ),
)]
async fn events(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let (jobs, id) = (jobs(&api, &request), JobId::named(&id));
    match jobs.feed(&id).await {
        Ok(feed) => sse::response(events::stream(jobs, id, feed)),
        Err(refusal) => Problem::from(refusal).google(),
    }
}

/// Those that the caller sees.
fn jobs(api: &Api, request: &HttpRequest) -> Jobs {
    api.jobs.seen_by(access::principal(request))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::OpenApi;

    use super::*;

    #[test]
    fn the_document_names_every_route() {
        let document = json!(Docs::openapi());
        for (path, methods) in [
            ("/v1/jobs", &["get", "post"][..]),
            ("/v1/jobs/{id}", &["get", "delete"]),
            ("/v1/jobs/{id}/events", &["get"]),
            ("/v1/jobs/{id}/audio", &["get"]),
        ] {
            for method in methods {
                assert!(document["paths"][path][method].is_object(), "{method} {path}: {document:#}");
            }
        }
    }
}
