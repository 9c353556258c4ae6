//! What a browser is shown where it has no key, or asks for what is not there: a page with the sentence that a program
//! reads in JSON.

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
};
use serde_json::Value;

use crate::http::security::SECURITY;

/// What people meet who type an address, or follow a link.
const SHOWN: [StatusCode; 4] =
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];

/// The layer: everything below it answers programs.
pub(in crate::http) async fn layer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let wanted = request.method() != Method::HEAD && prefers_html(request.headers());
    let response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    if !wanted || !SHOWN.contains(&status) {
        return Ok(response);
    }
    Ok(response.map_body(|head, body| {
        let headers = head.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in SECURITY {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        BoxBody::new(page(status, &message(body)))
    }))
}

/// What is named first is what is wanted: browsers begin with HTML, and programs that take anything do not name it.
fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let first = accept.split([',', ';']).next().unwrap_or_default().trim();
    first == "text/html" || first == "application/xhtml+xml"
}

/// The sentence of a failure, whatever protocol it is written in.
fn message(body: BoxBody) -> String {
    let body: Value =
        body.try_into_bytes().ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let error = &body["error"];
    error["message"].as_str().or(error.as_str()).unwrap_or_default().to_owned()
}

fn page(status: StatusCode, message: &str) -> String {
    let (title, advice) = match status {
        StatusCode::UNAUTHORIZED => (
            "This needs a key",
            "A browser cannot send one with an address. The <a href=\"/\">console</a> asks for yours and uses it.",
        ),
        StatusCode::FORBIDDEN => ("This is not open to you", "Ask whoever runs this server."),
        StatusCode::NOT_FOUND => (
            "There is nothing here",
            "The <a href=\"/\">console</a> shows what this server has, and <a href=\"/docs/api/\">the API</a> lists its \
             routes.",
        ),
        _ => ("This is for programs", "<a href=\"/docs/api/\">The API</a> says how this address is to be asked."),
    };
    let (code, message) = (status.as_u16(), escaped(message));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · Sconce</title>\n\
         <link rel=\"icon\" href=\"/console/icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/console/style.css\">\n</head>\n<body>\n<main class=\"problem\">\n\
         <p class=\"code\">{code}</p>\n<h1>{title}</h1>\n<p>{message}</p>\n<p>{advice}</p>\n</main>\n</body>\n</html>\n"
    )
}

/// As text between tags: a message may repeat what the caller sent.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(accept: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        prefers_html(&headers)
    }

    #[test]
    fn a_browser_is_told_from_a_program() {
        assert!(prefers("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        for program in ["*/*", "application/json", "application/json, text/html", "text/event-stream", ""] {
            assert!(!prefers(program), "{program}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }

    #[test]
    fn the_sentence_of_each_protocol_is_found_and_cannot_become_markup() {
        let sentence = |body: &'static str| message(BoxBody::new(body));
        assert_eq!(sentence(r#"{"error": {"message": "no <b>"}}"#), "no <b>");
        assert_eq!(sentence(r#"{"error": "no key"}"#), "no key");
        assert_eq!(sentence("no JSON"), "");
        assert!(page(StatusCode::NOT_FOUND, "no <b> & \"c\"").contains("<p>no &lt;b&gt; &amp; \"c\"</p>"));
    }
}
