//! `GET /v1/realtime`: OpenAI's Realtime API, as far as it hears and reads aloud: this server thinks of no answers.

mod client;
mod described;
mod dialogue;
mod events;
mod format;
mod output_settings;
mod response;
mod server;
mod session;
mod settings;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, SEC_WEBSOCKET_PROTOCOL},
    web,
};
use serde::Deserialize;

pub(super) use self::described::channel;
use self::{
    dialogue::Realtime,
    events::Events,
    settings::{Dialect, Settings},
};
use super::{
    api::Api,
    call,
    live::{self, Opening},
    problem::Problem,
};
use crate::speech::{Kind, TaskKind};

/// What browsers name beside their key; also a label of metrics.
const PROTOCOL: &str = "realtime";
const BETA: HeaderName = HeaderName::from_static("openai-beta");
const BETA_PROTOCOL: &str = "openai-beta.realtime-v1";

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(realtime), tags((name = "OpenAI", description = "OpenAI's audio API")))]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/v1/realtime").route(web::get().to(realtime)));
}

#[derive(Deserialize)]
struct Query {
    model: Option<String>,
    intent: Option<String>,
}

/// Speech to text while it is spoken, and text to speech beside it: a WebSocket with the events of OpenAI's Realtime API. `/asyncapi.json` describes them.
#[utoipa::path(
    get, path = "/v1/realtime", operation_id = "realtime", tag = "OpenAI",
    params(
        ("model" = Option<String>, Query, description = "The model that hears, or one that speaks; the default ones if absent"),
        ("intent" = Option<String>, Query, description = "`transcription`, if it is there"),
    ),
    responses(
        (status = 101, description = "The session begins with the event session.created"),
        (status = 400, description = "The request is no WebSocket handshake, or a parameter is not what it should be"),
        (status = 403, description = "The page of this origin may not, or the key does not have the scope"),
        (status = 429, description = "As many sessions are open as may be"),
    ),
)]
async fn realtime(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    open(&api, &request, payload).unwrap_or_else(|problem| problem.openai())
}

fn open(api: &Api, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let query: Query = live::admit(api, request)?;
    if let Some(intent) = query.intent.filter(|intent| intent != "transcription") {
        let message = format!("intent is {intent:?}; transcription, or none, would be right");
        return Err(Problem::new(Kind::Unsupported, message).about("intent"));
    }
    let settings = settings(api, query.model.filter(|model| !model.is_empty()));
    let call = call::call(request, PROTOCOL, settings.model.clone(), None)?;
    let realtime = Realtime::new(settings, Events::new(dialect(request)), api.service.clone(), call.clone());
    let opening = Opening { protocols: &[PROTOCOL], call, ask: realtime.ask() };
    live::open(api, request, payload, opening, realtime)
}

/// A model that speaks and does not hear can be named as well.
fn settings(api: &Api, model: Option<String>) -> Settings {
    let catalog = api.service.catalog();
    let does = |task| {
        let entry = catalog.resolve_for(model.as_deref(), task);
        entry.is_ok_and(|entry| entry.tasks().is_none_or(|tasks| tasks.contains(&task)))
    };
    if !does(TaskKind::Transcribe) && does(TaskKind::Synthesize) {
        let mut settings = Settings::new(None);
        settings.output.model = model;
        return settings;
    }
    Settings::new(model)
}

fn dialect(request: &HttpRequest) -> Dialect {
    let header =
        |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let names = |text: &str, name: &str| text.split(',').any(|part| part.trim() == name);
    let beta = names(header(BETA), "realtime=v1") || names(header(SEC_WEBSOCKET_PROTOCOL), BETA_PROTOCOL);
    if beta { Dialect::Beta } else { Dialect::Ga }
}
