//! From what a failure means to a status, in one place; each protocol's shape of an error.

use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode, http::header};
use serde_json::{Value, json};

use crate::speech::{Fault, Kind};

/// Longest `Retry-After`, in seconds: the official OpenAI client ignores longer ones.
const LONGEST_RETRY_AFTER: u64 = 120;

/// A failure on its way to a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    kind: Kind,
    message: String,
    param: Option<String>,
    retry_after: Option<Duration>,
    permanent: bool,
}

// === impl Problem ===

impl Problem {
    /// One that the same request will meet again.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after: None, permanent: true }
    }

    /// A request field that is not what it should be.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message).about(param)
    }

    /// The same, with the request field at fault.
    pub fn about(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    pub fn status(&self) -> StatusCode {
        status(self.kind)
    }

    /// As OpenAI's API writes it: all four keys, always.
    pub fn openai(&self) -> HttpResponse {
        self.response().json(self.openai_body())
    }

    pub fn openai_body(&self) -> Value {
        let family = match self.status().as_u16() {
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let (message, code) = (&self.message, code(self.kind));
        json!({"error": {"message": message, "type": family, "param": self.param, "code": code}})
    }

    /// As Google's APIs write it; our own routes do the same.
    pub fn google(&self) -> HttpResponse {
        self.response().json(json!({"error": self.google_body()}))
    }

    /// Without the envelope, as it stands in place of a prediction.
    pub fn google_body(&self) -> Value {
        let mut metadata = serde_json::Map::new();
        if let Some(param) = &self.param {
            metadata.insert("field".into(), json!(param));
        }
        if let Some(seconds) = self.retry_seconds() {
            metadata.insert("retry_after_seconds".into(), json!(seconds.to_string()));
        }
        let reason = code(self.kind).to_uppercase();
        json!({
            "code": self.status().as_u16(),
            "message": self.message,
            "status": rpc_status(self.kind),
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "sconce",
                "metadata": metadata,
            }],
        })
    }

    fn response(&self) -> actix_web::HttpResponseBuilder {
        let mut response = HttpResponse::build(self.status());
        if let Some(seconds) = self.retry_seconds() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.permanent && self.status().is_server_error() {
            // Clients repeat a 5xx unless they are told that it is of no use.
            response.insert_header(("x-should-retry", "false"));
        }
        response
    }

    fn retry_seconds(&self) -> Option<u64> {
        self.retry_after.map(|after| (after.as_secs_f64().ceil() as u64).clamp(1, LONGEST_RETRY_AFTER))
    }
}

impl<F: Fault> From<F> for Problem {
    fn from(fault: F) -> Self {
        Self {
            kind: fault.kind(),
            message: fault.to_string(),
            param: fault.param().map(str::to_owned),
            retry_after: fault.retry_after(),
            permanent: fault.permanent(),
        }
    }
}

/// The one place where meaning becomes a status.
fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid | Kind::Unsupported => StatusCode::BAD_REQUEST,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Loading | Kind::Unavailable | Kind::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Kind::WontFit => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// A word for programs.
fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "invalid_request",
        Kind::NotFound => "not_found",
        Kind::Unsupported => "unsupported",
        Kind::TooLarge => "too_large",
        Kind::UnsupportedMedia => "unsupported_media_type",
        Kind::Busy => "busy",
        Kind::Loading => "model_loading",
        Kind::Unavailable => "model_unavailable",
        Kind::WontFit => "model_wont_fit",
        Kind::Deadline => "deadline_exceeded",
        Kind::Cancelled => "cancelled",
        Kind::Forbidden => "forbidden",
        Kind::Stopping => "stopping",
        Kind::Internal => "internal",
    }
}

/// The names of google.rpc.Code.
fn rpc_status(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid | Kind::Unsupported | Kind::TooLarge | Kind::UnsupportedMedia => "INVALID_ARGUMENT",
        Kind::NotFound => "NOT_FOUND",
        Kind::Busy | Kind::WontFit => "RESOURCE_EXHAUSTED",
        Kind::Loading | Kind::Unavailable | Kind::Stopping => "UNAVAILABLE",
        Kind::Deadline => "DEADLINE_EXCEEDED",
        Kind::Cancelled => "CANCELLED",
        Kind::Forbidden => "PERMISSION_DENIED",
        Kind::Internal => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loading(seconds: f64, permanent: bool) -> Problem {
        let retry_after = Some(Duration::from_secs_f64(seconds));
        Problem { retry_after, permanent, ..Problem::new(Kind::Loading, "soon") }
    }

    #[test]
    fn retry_after_is_whole_seconds_between_one_and_the_longest() {
        let header =
            |seconds| loading(seconds, false).response().finish().headers().get("retry-after").cloned().unwrap();
        assert_eq!(header(0.2), "1");
        assert_eq!(header(7.1), "8");
        assert_eq!(header(900.0), "120");
    }

    #[test]
    fn only_a_permanent_server_error_forbids_a_retry() {
        let forbids = |problem: Problem| problem.response().finish().headers().contains_key("x-should-retry");
        assert!(forbids(loading(1.0, true)));
        assert!(!forbids(loading(1.0, false)));
        assert!(!forbids(Problem::new(Kind::Invalid, "no")));
    }

    #[test]
    fn openai_errors_have_all_four_keys() {
        let body = Problem::invalid("language", "no such language").openai_body();
        let want = json!({"error": {"message": "no such language", "type": "invalid_request_error",
            "param": "language", "code": "invalid_request"}});
        assert_eq!(body, want);
        assert!(Problem::new(Kind::Internal, "x").openai_body()["error"]["param"].is_null());
    }
}
