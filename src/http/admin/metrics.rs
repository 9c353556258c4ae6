//! `GET /metrics`.

use actix_web::{HttpResponse, web};
use prometheus::{Encoder, TextEncoder};

use crate::{
    http::{api::Api, problem::Problem},
    speech::Kind,
};

/// Numbers for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "The text format", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(api: web::Data<Api>) -> HttpResponse {
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
