//! Where keys stand in a request.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

/// Other names that tools send keys under: Anthropic's and many gateways', Azure's.
const OTHERS: [&str; 2] = ["x-api-key", "api-key"];

/// The keys of a request: `Authorization: Bearer …`, and those of the other headers. What stands in the first may be for
/// a gateway in front of this server, and the key for the server in another.
pub(super) fn keys(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let text = move |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let bearer = text(AUTHORIZATION.as_str()).and_then(bearer);
    bearer.into_iter().chain(OTHERS.into_iter().filter_map(text)).filter(|key| !key.is_empty())
}

/// The scheme's name has no case (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
