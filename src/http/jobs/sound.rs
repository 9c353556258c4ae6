//! The sound of a job: what is there of it so far, and in the end its file.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    http::{access, api::Api, problem::Problem},
    jobs::{JobId, Jobs, PartialSound, Phase},
    speech::Kind,
};

/// Which sound of a job.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// One of its stems; the answer's own sound if absent.
    stem: Option<String>,
}

/// A file.
struct Found {
    media_type: String,
    bytes: Bytes,
    /// There is no more of it.
    whole: bool,
}

/// The sound of a job as a file. While the job runs, as much of it as is made by then: of a song its finished sections.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/audio",
    operation_id = "job_audio",
    tag = "jobs",
    params(("id" = String, Path), Wanted),
    responses(
        (status = 200, content_type = "audio/*", body = Vec<u8>, headers(
            ("x-sconce-complete" = bool, description = "Whether it is the whole sound"),
        )),
        (status = 400, description = "The query is wrong"),
        (status = 404, description = "There is no such job, or no such sound, or none yet"),
    ),
)]
pub(super) async fn audio(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let found = async {
        let query = web::Query::<Wanted>::from_query(request.query_string());
        let wrong = |error| Problem::invalid("query", format!("the query cannot be read: {error}"));
        let Wanted { stem } = query.map_err(wrong)?.into_inner();
        find(&api.jobs.seen_by(access::principal(&request)), &JobId::named(&id), stem.as_deref()).await
    };
    match found.await {
        Ok(Found { media_type, bytes, whole }) => HttpResponse::Ok()
            .content_type(media_type)
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("x-sconce-complete", whole.to_string()))
            .body(bytes),
        Err(problem) => problem.google(),
    }
}

async fn find(jobs: &Jobs, id: &JobId, stem: Option<&str>) -> Result<Found, Problem> {
    let view = jobs.get(id).await?;
    if let Some(result) = &view.result {
        return of_result(result, stem);
    }
    let partial = match view.state.phase() {
        Phase::Running => jobs.sound(id, stem).await?,
        _ => None,
    };
    let PartialSound { media_type, blocks, .. } = partial.ok_or_else(|| {
        let message = match stem {
            None => format!("the job {id} has no sound so far; its status is {}", view.state.phase().as_str()),
            Some(stem) => format!("the job {id} has no sound {stem:?} so far"),
        };
        Problem::new(Kind::NotFound, message)
    })?;
    Ok(Found { media_type: media_type.to_owned(), bytes: blocks.concat().into(), whole: false })
}

/// The file in a prediction.
fn of_result(result: &Value, stem: Option<&str>) -> Result<Found, Problem> {
    let nothing = |message: String| Problem::new(Kind::NotFound, message);
    if let Some(uri) = result["uri"].as_str() {
        return Err(nothing(format!("the sound of this job was written to {uri}")));
    }
    let audio = match stem {
        Some(stem) if result["audio"]["stem"] != stem => &result["stems"][stem],
        _ => &result["audio"],
    };
    let told = (audio["content"].as_str(), audio["mime_type"].as_str());
    let (Some(content), Some(media_type)) = told else {
        return Err(nothing(match stem {
            None => "the answer of this job is no sound; GET /v1/jobs/{id} has it".to_owned(),
            Some(stem) => format!("this job has no stem {stem:?}; those that it has were asked for as stems"),
        }));
    };
    let damaged = |_| Problem::new(Kind::Internal, "internal error: the sound of the job is damaged");
    let bytes = BASE64_STANDARD.decode(content).map_err(damaged)?.into();
    Ok(Found { media_type: media_type.to_owned(), bytes, whole: true })
}
