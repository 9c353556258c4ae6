//! `GET /vosk`: the protocol of Vosk's own server over a WebSocket, for the clients that it has. Sound goes in, and each
//! message of it is answered: by what was heard when a pause was long enough, else by what it seems to be so far.

mod client;
mod described;
mod dialogue;
mod result;
mod settings;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde::Deserialize;

use self::{dialogue::Vosk, settings::Settings};
use super::{
    api::Api,
    call,
    live::{self, Channel, Opening},
    problem::Problem,
};

/// Where it is; at the root those find it as well who know nothing of paths.
pub(super) const PATH: &str = "/vosk";
/// What browsers name beside their key.
const PROTOCOL: &str = "vosk";

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(vosk))]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource(PATH).route(web::get().to(vosk)));
}

/// This folder's part of `/asyncapi.json`; `max_message`: bytes that a message may have.
pub(super) fn channel(max_message: usize) -> Channel {
    described::channel(PATH, max_message)
}

#[derive(Deserialize)]
struct Query {
    model: Option<String>,
    sample_rate: Option<f64>,
}

/// Speech to text while it is spoken, for clients of vosk-server: a WebSocket that takes 16-bit samples. `/asyncapi.json`
/// describes the messages, and `docs/live.md` says what it understands.
#[utoipa::path(
    get, path = "/vosk", operation_id = "vosk", tag = "compatibility",
    params(
        ("model" = Option<String>, Query, description = "The model that hears; the default one if absent"),
        ("sample_rate" = Option<f64>, Query, description = "Of the sound, in hertz, where the client does not say; 8000 if absent"),
    ),
    responses(
        (status = 101, description = "The session has begun, and waits for sound"),
        (status = 400, description = "The request is no WebSocket handshake, or a parameter is not what it should be"),
        (status = 403, description = "The page of this origin may not, or the key does not have the scope"),
        (status = 429, description = "As many sessions are open as may be"),
    ),
)]
async fn vosk(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    open(&api, &request, payload).unwrap_or_else(|problem| problem.answer(api.gate.routes().shape(PATH)))
}

fn open(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let Query { model, sample_rate } = live::admit(api, request)?;
    let mut settings = Settings { model: model.filter(|model| !model.is_empty()), ..Settings::default() };
    if let Some(rate) = sample_rate {
        settings.rate = settings::rate(rate)?;
    }
    let call = call::call(request, PROTOCOL, settings.model.clone(), None)?;
    let ask = settings.ask(&api.service.catalog());
    let vosk = Vosk::new(settings, api.service.clone());
    live::open(api, request, payload, Opening { protocols: &[PROTOCOL], call, ask }, vosk)
}

/// Whether a request for the root is from somebody who knows nothing of paths, as the clients of Vosk do.
pub(super) fn is_at_the_root(path: &str, headers: &header::HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|upgrade| upgrade.to_str().ok());
    path == "/" && upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}
