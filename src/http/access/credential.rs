//! Where keys stand in a request.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};

/// Other names that tools send keys under: Anthropic's and many gateways', Azure's.
const OTHERS: [&str; 2] = ["x-api-key", "api-key"];

/// What stands before the key where a browser opens a WebSocket, since it can send no header but the protocols that it
/// speaks.
const IN_PROTOCOLS: &str = "openai-insecure-api-key.";

/// The keys of a request: `Authorization: Bearer …`, and those of the other headers. What stands in the first may be for
/// a gateway in front of this server, and the key for the server in another.
pub(super) fn keys(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let text = move |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let bearer = text(AUTHORIZATION.as_str()).and_then(bearer);
    let protocols = text(SEC_WEBSOCKET_PROTOCOL.as_str()).into_iter().flat_map(|protocols| protocols.split(','));
    let in_protocols = protocols.filter_map(|protocol| protocol.trim().strip_prefix(IN_PROTOCOLS));
    let others = OTHERS.into_iter().filter_map(text).chain(in_protocols);
    bearer.into_iter().chain(others).filter(|key| !key.is_empty())
}

/// The scheme's name has no case (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
