//! Vertex AI, and SageMaker beside it: everything through one route. A body says by its type and its fields what it is: the envelope of
//! `instances` and `parameters`, the same fields without it, a recording as it is, or what OpenAI's clients send.

mod action;
mod envelope;
mod predict;

use actix_web::web;

pub(super) use predict::predict;

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(predict::predict, predict::invocations), tags((name = "Vertex AI", description = "The envelope of instances and predictions")))]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/predict").route(web::post().to(predict)))
        .service(web::resource("/invocations").route(web::post().to(predict::invocations)));
}
