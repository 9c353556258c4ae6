//! What a browser is told beside every file that it shows.

use actix_web::{HttpResponse, HttpResponseBuilder, http::StatusCode};

/// Nothing but what this server sends is run or shown; what is made in the page is played.
const ONLY_OURS: &str = "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; \
                         frame-ancestors 'none'; form-action 'self'";

pub(super) const SECURITY: [(&str, &str); 6] = [
    ("content-security-policy", ONLY_OURS),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(self)"),
];

/// The beginning of an answer that a browser may show.
pub(super) fn guarded(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    for header in SECURITY {
        response.insert_header(header);
    }
    response
}
