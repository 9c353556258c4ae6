//! `GET /v1/realtime`: OpenAI's Realtime API, as far as it hears. Transcription sessions and nothing else: this server does
//! not answer what it hears.

mod asyncapi;
mod client;
mod connection;
mod format;
mod liveness;
mod server;
mod session;
mod settings;

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_PROTOCOL},
    web,
};
use serde::Deserialize;

use self::{
    connection::Connection,
    server::Events,
    settings::{Dialect, Settings},
};
use super::{Exchange, access, api::Api, call, config::RealtimeConfig, problem::Problem};
use crate::{service::Call, speech::Kind};

/// What is said to who wants more than text.
const ONLY_HEARS: &str = "this server hears and does not answer, so that transcription would be right";

/// Clients need some time to answer at all.
const SHORTEST_PING: Duration = Duration::from_millis(50);
/// What browsers name beside their key.
const PROTOCOL: &str = "realtime";
const BETA: HeaderName = HeaderName::from_static("openai-beta");
const BETA_PROTOCOL: &str = "openai-beta.realtime-v1";

/// This folder's part of `/openapi.json`.
#[derive(utoipa::OpenApi)]
#[openapi(paths(realtime, asyncapi::description), tags((name = "OpenAI", description = "OpenAI's audio API")))]
pub(super) struct Docs;

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/v1/realtime").route(web::get().to(realtime)))
        .service(web::resource("/asyncapi.json").route(web::get().to(asyncapi::description)));
}

#[derive(Deserialize)]
struct Query {
    model: Option<String>,
    intent: Option<String>,
}

/// Speech to text while it is spoken: a WebSocket with the events of OpenAI's Realtime API. `/asyncapi.json` describes them.
#[utoipa::path(
    get, path = "/v1/realtime", operation_id = "realtime", tag = "OpenAI",
    params(
        ("model" = Option<String>, Query, description = "The model that hears; the default one if absent"),
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
    if api.draining.is_set() {
        return Err(Problem::new(Kind::Stopping, "the server is stopping").passing());
    }
    from_a_page_that_may(api, request)?;
    let query = web::Query::<Query>::from_query(request.query_string())
        .map_err(|error| Problem::invalid("query", format!("the query cannot be read: {error}")))?
        .into_inner();
    if let Some(intent) = query.intent.filter(|intent| intent != "transcription") {
        let message = format!("intent is {intent:?}; {ONLY_HEARS}");
        return Err(Problem::new(Kind::Unsupported, message).about("intent"));
    }
    let settings = Settings::new(query.model.filter(|model| !model.is_empty()));
    // How long it may take is for each item, not for the session.
    let call = call::call(request, "realtime", settings.model.clone(), None)?;
    let call = Call { deadline: None, ..call };
    let config = api.config.realtime.clone();
    let config = RealtimeConfig { ping: config.ping.max(SHORTEST_PING), ..config };
    let handshake = actix_ws::handle_with_protocols(request, payload, &[PROTOCOL]);
    let (response, socket, messages) = handshake.map_err(|error| {
        Problem::invalid("upgrade", format!("this route is a WebSocket, and the request does not begin one: {error}"))
    })?;
    let live = api.service.hear_live(call, access::principal(request).name, settings.ask(), None)?;
    let messages = messages.max_frame_size(config.max_message).aggregate_continuations();
    let connection = Connection {
        socket,
        messages: messages.max_continuation_size(config.max_message),
        live,
        settings,
        events: Events::new(dialect(request)),
        service: api.service.clone(),
        config,
        draining: api.draining.clone(),
        exchange: Exchange::of(request).cloned(),
    };
    #[expect(clippy::disallowed_methods, reason = "what a connection sends can be read on its own thread alone")]
    actix_web::rt::spawn(connection.run());
    Ok(response)
}

/// Browsers let any page open a WebSocket to anywhere and read it, so that here it is for the server to look whose page it
/// is: one of its own, or of an origin that may use it.
fn from_a_page_that_may(api: &Api, request: &HttpRequest) -> Result<(), Problem> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header(ORIGIN) else { return Ok(()) };
    let own = origin.split_once("://").is_some_and(|(_, host)| header(HOST) == Some(host));
    if own || api.config.cors_origins.iter().any(|allowed| allowed == "*" || allowed == origin) {
        return Ok(());
    }
    let message = "pages of this origin may not use this server; `http.cors_origins` names those that may";
    Err(Problem::new(Kind::Forbidden, message))
}

fn dialect(request: &HttpRequest) -> Dialect {
    let header =
        |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let names = |text: &str, name: &str| text.split(',').any(|part| part.trim() == name);
    let beta = names(header(BETA), "realtime=v1") || names(header(SEC_WEBSOCKET_PROTOCOL), BETA_PROTOCOL);
    if beta { Dialect::Beta } else { Dialect::Ga }
}
