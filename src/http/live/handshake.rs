//! Who may open a connection, and how it begins.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HOST, HeaderName, ORIGIN},
    web,
};
use serde::de::DeserializeOwned;

use super::connection::{Connection, Dialogue};
use crate::{
    http::{Exchange, access, api::Api, config::RealtimeConfig, problem::Problem},
    service::{Call, live::LiveAsk},
    speech::Kind,
};

/// Clients need some time to answer at all.
const SHORTEST_PING: Duration = Duration::from_millis(50);

/// How a session begins.
pub(in crate::http) struct Opening<'a> {
    /// Names of WebSocket protocols, of which the client may offer one.
    pub protocols: &'a [&'a str],
    pub call: Call,
    pub ask: LiveAsk,
}

/// What the address asks for, if this server takes connections, and from this page.
pub(in crate::http) fn admit<Q: DeserializeOwned>(api: &Api, request: &HttpRequest) -> Result<Q, Problem> {
    if api.draining.is_set() {
        return Err(Problem::new(Kind::Stopping, "the server is stopping").passing());
    }
    from_a_page_that_may(api, request)?;
    let query = web::Query::from_query(request.query_string());
    let wrong = |error| Problem::invalid("query", format!("the query cannot be read: {error}"));
    query.map(web::Query::into_inner).map_err(wrong)
}

/// Begins a session with a client that was admitted.
pub(in crate::http) fn open(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
    opening: Opening<'_>,
    dialogue: impl Dialogue + 'static,
) -> Result<HttpResponse, Problem> {
    let Opening { protocols, call, ask } = opening;
    // How long it may take is for each item, not for the session.
    let call = Call { deadline: None, ..call };
    let config = api.config.realtime.clone();
    let config = RealtimeConfig { ping: config.ping.max(SHORTEST_PING), ..config };
    let handshake = actix_ws::handle_with_protocols(request, payload, protocols);
    let (response, socket, messages) = handshake.map_err(|error| {
        Problem::invalid("upgrade", format!("this route is a WebSocket, and the request does not begin one: {error}"))
    })?;
    let live = api.service.hear_live(call, access::principal(request).name, ask, None)?;
    let messages = messages.max_frame_size(config.max_message).aggregate_continuations();
    let connection = Connection {
        socket,
        messages: messages.max_continuation_size(config.max_message),
        live,
        dialogue,
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
