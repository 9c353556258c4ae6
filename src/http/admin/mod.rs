//! Operation: health, status, events, pre-loading, metrics.

mod download;
mod health;
mod status;

use actix_web::{HttpResponse, web};
use prometheus::{Encoder, TextEncoder};

pub(super) use health::health;

use super::{Api, Problem};
use crate::speech::Kind;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/health").route(web::get().to(health::health)))
        .service(web::resource("/health/live").route(web::get().to(health::live)))
        .service(web::resource("/health/ready").route(web::get().to(health::ready)))
        .service(web::resource("/ping").route(web::get().to(health::ping)))
        .service(web::resource("/models/status").route(web::get().to(status::status)))
        .service(web::resource("/models/events").route(web::get().to(status::events)))
        .service(web::resource("/download-models").route(web::post().to(download::download)))
        .service(web::resource("/metrics").route(web::get().to(metrics)));
}

async fn metrics(api: web::Data<Api>) -> HttpResponse {
    let (encoder, mut text) = (TextEncoder::new(), Vec::new());
    match encoder.encode(&api.registry.gather(), &mut text) {
        Ok(()) => HttpResponse::Ok().content_type(encoder.format_type()).body(text),
        Err(_) => Problem::new(Kind::Internal, "the metrics could not be written").google(),
    }
}
