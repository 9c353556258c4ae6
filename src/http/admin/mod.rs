//! Operation: health, status, events, bringing models in and sending them away, metrics.

mod availability;
mod bodies;
mod download;
mod health;
mod models;
mod status;
mod wait;

use actix_web::{HttpRequest, HttpResponse, web};
use prometheus::{Encoder, TextEncoder};
use serde::de::DeserializeOwned;

pub(super) use download::{Wanted, bring};
pub(super) use health::{health, readiness, report as health_report};
pub(super) use models::{loaded, unloaded};
pub(super) use status::report as status_report;
pub(super) use wait::Wait;

use super::{Api, Problem, body};
use crate::speech::Kind;

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        health::health, health::live, health::ready, health::ping, status::status, status::events, download::download,
        models::post_load, models::post_unload, metrics
    ),
    components(schemas(bodies::StatusEvent)),
    tags((name = "operation", description = "Health, status, pre-loading, metrics"))
)]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/health").route(web::get().to(health::health)))
        .service(web::resource("/health/live").route(web::get().to(health::live)))
        .service(web::resource("/health/ready").route(web::get().to(health::ready)))
        .service(web::resource("/ping").route(web::get().to(health::ping)))
        .service(web::resource("/models/status").route(web::get().to(status::status)))
        .service(web::resource("/models/events").route(web::get().to(status::events)))
        .service(web::resource("/download-models").route(web::post().to(download::download)))
        .service(web::resource("/models/{name:.+}/load").route(web::post().to(models::post_load)))
        .service(web::resource("/models/{name:.+}/unload").route(web::post().to(models::post_unload)))
        .service(web::resource("/metrics").route(web::get().to(metrics)));
}

/// A JSON body that may be left out.
async fn body<T: DeserializeOwned + Default>(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<T, Problem> {
    let body = body::read(request, payload, api).await?;
    if body.bytes.is_empty() { Ok(T::default()) } else { body.json() }
}

/// Numbers for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "The text format", body = String, content_type = "text/plain"))
)]
async fn metrics(api: web::Data<Api>) -> HttpResponse {
    let (encoder, registry) = (TextEncoder::new(), api.registry.clone());
    // Some of them are asked of a disk, which may keep who asks waiting.
    let text = web::block(move || {
        let mut text = Vec::new();
        encoder.encode(&registry.gather(), &mut text).map(|()| text)
    });
    match text.await {
        Ok(Ok(text)) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        _ => Problem::new(Kind::Internal, "the metrics could not be written").google(),
    }
}
