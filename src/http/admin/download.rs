//! `POST /download-models`: brings models in before anybody asks for them, or tries again what failed.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::http::{
    api::Api,
    body,
    models::{
        download::{self as models, DownloadRequest},
        schemas::{LoadFailure, Outcome},
    },
    problem::Problem,
};

/// Brings models in before anybody asks for them, or tries again what failed.
#[utoipa::path(
    post, path = "/download-models", tag = "operation",
    request_body(content = Option<DownloadRequest>, content_type = "application/json"),
    responses(
        (status = 200, description = "All are loaded", body = Outcome),
        (status = 202, description = "Some are downloading or loading", body = Outcome),
        (status = 503, description = "One failed, or is not available", body = LoadFailure),
    )
)]
pub(super) async fn download(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.google())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    api.administer(request)?;
    let asked: Option<DownloadRequest> = body::optional(api, request, payload).await?;
    let (status, outcome) = models::download(api, request, asked.unwrap_or_default()).await?;
    Ok(HttpResponse::build(status).json(outcome))
}
