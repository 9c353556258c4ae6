//! Operation: health, status, events, bringing models in and sending them away, metrics.

mod download;
mod health;
mod metrics;
mod models;
mod status;

use actix_web::web;

pub(super) use health::health;

use super::models::schemas;

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        health::health, health::live, health::ready, health::ping, status::status, status::events, download::download,
        models::post_load, models::post_unload, metrics::metrics
    ),
    components(schemas(schemas::StatusEvent)),
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
        .service(web::resource("/metrics").route(web::get().to(metrics::metrics)));
}
