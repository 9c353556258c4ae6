//! `POST /download-models`: brings models in before anybody asks for them, or tries again what failed.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::http::{
    api::Api,
    body,
    models::{
        download::{Wanted, bring},
        schemas::{LoadFailure, Outcome},
    },
    problem::Problem,
};

/// Brings models in before anybody asks for them, or tries again what failed.
#[utoipa::path(
    post, path = "/download-models", tag = "operation",
    request_body(content = Option<Wanted>, content_type = "application/json"),
    responses(
        (status = 200, description = "All are there", body = Outcome),
        (status = 202, description = "Some are on their way", body = Outcome),
        (status = 503, description = "One failed, or cannot be had", body = LoadFailure),
    )
)]
pub(super) async fn download(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    api.administer(request)?;
    let wanted: Option<Wanted> = body::optional(api, request, payload).await?;
    let (status, outcome) = bring(api, request, wanted.unwrap_or_default()).await?;
    Ok(HttpResponse::build(status).json(outcome))
}
