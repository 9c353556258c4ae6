//! The Open Inference Protocol, version 2, as KServe and Triton speak it: metadata, readiness, inference with tensors in
//! JSON or as bytes behind it, and the repository extension.

mod address;
mod answer;
mod batch;
mod health;
mod infer;
mod made;
mod models;
mod repository;
mod request;
mod signature;
mod tensor;

use actix_web::{HttpRequest, HttpResponse, middleware, web};

use super::problem::Problem;
use crate::speech::Kind;

/// What is here for OpenAPI.
#[derive(utoipa::OpenApi)]
#[openapi(tags((name = "Open Inference Protocol", description = "KServe's and Triton's protocol")), paths(
    health::server,
    health::live,
    health::ready,
    models::list,
    models::metadata,
    models::metadata_version,
    models::ready,
    models::ready_version,
    infer::infer,
    infer::infer_version,
    repository::index,
    repository::load,
    repository::unload,
))]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    let scope = web::scope("/v2")
        // Triton's clients may ask for a compressed answer.
        .wrap(middleware::Compress::default())
        .service(web::resource("").route(web::get().to(health::server)))
        .service(web::resource("/health/live").route(web::get().to(health::live)))
        .service(web::resource("/health/ready").route(web::get().to(health::ready)))
        .service(web::resource("/models").route(web::get().to(models::list)))
        .service(web::resource("/repository/index").route(web::post().to(repository::index)))
        .service(web::resource("/repository/models/{model:.+}/load").route(web::post().to(repository::load)))
        .service(web::resource("/repository/models/{model:.+}/unload").route(web::post().to(repository::unload)))
        // Before those without a version: a name may hold a `/`.
        .service(
            web::resource("/models/{model:.+}/versions/{version}/infer").route(web::post().to(infer::infer_version)),
        )
        .service(
            web::resource("/models/{model:.+}/versions/{version}/ready").route(web::get().to(models::ready_version)),
        )
        .service(web::resource("/models/{model:.+}/infer").route(web::post().to(infer::infer)))
        .service(web::resource("/models/{model:.+}/ready").route(web::get().to(models::ready)))
        .service(web::resource("/models/{model:.+}/versions/{version}").route(web::get().to(models::metadata_version)))
        .service(web::resource("/models/{model:.+}").route(web::get().to(models::metadata)))
        .default_service(web::to(no_such_route));
    app.service(scope);
}

async fn no_such_route(request: HttpRequest) -> HttpResponse {
    let message = format!("there is no {} {}; /docs lists the routes", request.method(), request.path());
    Problem::new(Kind::NotFound, message).oip()
}
