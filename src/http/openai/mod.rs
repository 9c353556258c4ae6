//! OpenAI's audio API, as its official clients call it.

mod bodies;
mod models;
mod speech;
mod transcriptions;
mod voice_conversions;
mod voices;

use actix_web::web;

use super::native::transcriptions::bodies::{Event, VerboseTranscription};

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        transcriptions::transcriptions,
        transcriptions::translations,
        models::list,
        models::one,
        models::speaking,
        speech::speech,
        voice_conversions::voice_conversions,
        voices::list,
        voices::create,
        voices::delete
    ),
    components(schemas(Event, VerboseTranscription)),
    tags((name = "OpenAI", description = "OpenAI's audio API"))
)]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/v1/audio/transcriptions").route(web::post().to(transcriptions::transcriptions)))
        .service(web::resource("/v1/audio/translations").route(web::post().to(transcriptions::translations)))
        .service(web::resource("/v1/audio/speech").route(web::post().to(speech::speech)))
        .service(
            web::resource("/v1/audio/voice-conversions").route(web::post().to(voice_conversions::voice_conversions)),
        )
        .service(
            web::resource("/v1/audio/voices").route(web::get().to(voices::list)).route(web::post().to(voices::create)),
        )
        .service(web::resource("/v1/audio/voices/{name}").route(web::delete().to(voices::delete)))
        .service(web::resource("/v1/audio/models").route(web::get().to(models::speaking)))
        .service(web::resource("/v1/models").route(web::get().to(models::list)))
        .service(web::resource("/v1/models/{id:.+}").route(web::get().to(models::one)));
}
