//! Routes that other servers have: `POST /generate` of ChatterboxTTS servers, `POST /invocations` of SageMaker. `/ping`,
//! which RunPod and SageMaker ask, is among the probes.

mod generate;

use actix_web::{HttpRequest, HttpResponse, web};

use super::{api::Api, vertex};

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(generate::generate, invocations),
    tags((name = "compatibility", description = "Routes that clients of other servers know"))
)]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/generate").route(web::post().to(generate::generate)))
        .service(web::resource("/invocations").route(web::post().to(invocations)));
}

/// What `POST /predict` does, where SageMaker looks for it.
#[utoipa::path(
    post, path = "/invocations", tag = "compatibility",
    request_body(content(
        (Value = "application/json"),
        (String = "audio/*"),
        (String = "application/octet-stream"),
        (Value = "multipart/form-data"),
    )),
    responses((status = 200, description = "Predictions, or one without the envelope", body = Value)),
)]
async fn invocations(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    vertex::predict(api, request, payload).await
}
