//! `POST /v1/audio/speech`: text to sound.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::http::{
    api::Api,
    body::{self, Shape},
    native::speech::{Speech, synthesize},
    problem::Problem,
};

/// Text to sound, sent while it is made.
#[utoipa::path(
    post, path = "/v1/audio/speech", tag = "OpenAI", request_body = Speech,
    responses(
        (status = 200, description = "The sound, or events of it", content(
            (Vec<u8> = "audio/mpeg"), (String = "text/event-stream"),
        )),
    ),
)]
pub(super) async fn speech(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    answer(&api, &request, payload).await.unwrap_or_else(|problem| problem.openai())
}

async fn answer(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let body = body::read(request, payload, api).await?;
    let Shape::Json = body.shape() else { return Err(body.not_taken("application/json")) };
    synthesize(api, request, &body.bytes, "openai").await
}
