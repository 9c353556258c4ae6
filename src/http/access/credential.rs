//! Where a key stands in a request.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

/// Other names that tools send keys under: Anthropic's and many gateways', Azure's.
const OTHERS: [&str; 2] = ["x-api-key", "api-key"];

/// The key of a request: `Authorization: Bearer …`, or one of the other headers.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let bearer = text(AUTHORIZATION.as_str()).and_then(bearer);
    bearer.or_else(|| OTHERS.into_iter().find_map(text)).filter(|key| !key.is_empty())
}

/// The scheme's name has no case (RFC 9110).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
