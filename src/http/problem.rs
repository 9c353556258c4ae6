//! From what a failure means to a status, in one place; each protocol's shape of an error.

pub(super) mod schemas;

use actix_web::{HttpResponse, http::StatusCode, http::header};
use serde_json::{Value, json};

pub(super) use crate::speech::Problem;

use crate::speech::Kind;

/// Longest `Retry-After`, in seconds: the official OpenAI client ignores longer ones.
const LONGEST_RETRY_AFTER: u64 = 120;

/// A protocol's way to write an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    OpenAi,
    /// The Open Inference Protocol.
    Oip,
    Google,
}

// === impl Problem ===

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        status(self.kind)
    }

    pub(super) fn answer(&self, shape: Shape) -> HttpResponse {
        match shape {
            Shape::OpenAi => self.openai(),
            Shape::Oip => self.oip(),
            Shape::Google => self.google(),
        }
    }

    /// As OpenAI's API writes it: all four keys, always.
    pub(super) fn openai(&self) -> HttpResponse {
        let mut response = self.response(self.status());
        if let Some(after) = self.retry_after {
            // Read before `Retry-After`, and finer.
            let longest = LONGEST_RETRY_AFTER * 1000;
            response.insert_header(("retry-after-ms", (after.as_millis() as u64).clamp(1, longest)));
        }
        response.json(self.openai_body())
    }

    pub(super) fn openai_body(&self) -> Value {
        let family = match self.status().as_u16() {
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let (message, code) = (&self.message, code(self.kind));
        json!({"error": {"message": message, "type": family, "param": self.param, "code": code}})
    }

    /// As the Open Inference Protocol has it: a text, and one of the few statuses that it knows.
    pub(super) fn oip(&self) -> HttpResponse {
        self.response(oip_status(self.kind)).json(json!({"error": self.message}))
    }

    /// As Google's APIs write it; our own routes do the same.
    pub(super) fn google(&self) -> HttpResponse {
        self.response(self.status()).json(json!({"error": self.google_body()}))
    }

    /// Without the envelope, as it stands in place of a prediction.
    pub(super) fn google_body(&self) -> Value {
        json!({
            "code": self.status().as_u16(),
            "message": self.message,
            "status": rpc_status(self.kind),
            "details": self.details(),
        })
    }

    /// What a program wants to know, in the types of google/rpc/error_details.proto.
    fn details(&self) -> Vec<Value> {
        let detail = |name: &str, mut fields: Value| {
            fields["@type"] = format!("type.googleapis.com/google.rpc.{name}").into();
            fields
        };
        let (reason, domain) = (code(self.kind).to_uppercase(), "sconce");
        let mut details = vec![detail("ErrorInfo", json!({"reason": reason, "domain": domain, "metadata": {}}))];
        if let Some(param) = &self.param {
            let violation = json!({"field": param, "description": self.message});
            details.push(detail("BadRequest", json!({"fieldViolations": [violation]})));
        }
        if let Some(seconds) = self.retry_seconds() {
            details.push(detail("RetryInfo", json!({"retryDelay": format!("{seconds}s")})));
        }
        details
    }

    fn response(&self, status: StatusCode) -> actix_web::HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        if let Some(seconds) = self.retry_seconds() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.permanent && status.is_server_error() {
            // Clients repeat a 5xx unless they are told that it is of no use.
            response.insert_header(("x-should-retry", "false"));
        }
        response
    }

    fn retry_seconds(&self) -> Option<u64> {
        self.retry_after.map(|after| (after.as_secs_f64().ceil() as u64).clamp(1, LONGEST_RETRY_AFTER))
    }
}

/// The one place where meaning becomes a status.
fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid | Kind::Unsupported => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Kind::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Loading | Kind::Unavailable | Kind::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Kind::WontFit => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// The statuses of the Open Inference Protocol, and 403 for what is closed.
fn oip_status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Kind::TooLarge | Kind::UnsupportedMedia => StatusCode::BAD_REQUEST,
        Kind::Busy | Kind::Deadline | Kind::WontFit | Kind::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        kind => status(kind),
    }
}

/// A word for programs.
fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "invalid_request",
        Kind::NotFound => "not_found",
        Kind::Unsupported => "unsupported",
        Kind::TooLarge => "too_large",
        Kind::TooSlow => "request_timeout",
        Kind::UnsupportedMedia => "unsupported_media_type",
        Kind::Busy => "busy",
        Kind::Loading => "model_loading",
        Kind::Unavailable => "model_unavailable",
        Kind::WontFit => "model_wont_fit",
        Kind::Deadline => "deadline_exceeded",
        Kind::Cancelled => "cancelled",
        Kind::Unauthenticated => "invalid_api_key",
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
        Kind::Deadline | Kind::TooSlow => "DEADLINE_EXCEEDED",
        Kind::Cancelled => "CANCELLED",
        Kind::Unauthenticated => "UNAUTHENTICATED",
        Kind::Forbidden => "PERMISSION_DENIED",
        Kind::Internal => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn loading(seconds: f64, permanent: bool) -> Problem {
        let retry_after = Some(Duration::from_secs_f64(seconds));
        Problem { retry_after, permanent, ..Problem::new(Kind::Loading, "soon") }
    }

    #[test]
    fn retry_after_is_whole_seconds_between_one_and_the_longest() {
        let header = |seconds| loading(seconds, false).google().headers().get("retry-after").cloned().unwrap();
        assert_eq!(header(0.2), "1");
        assert_eq!(header(7.1), "8");
        assert_eq!(header(900.0), "120");
    }

    #[test]
    fn only_a_permanent_server_error_forbids_a_retry() {
        let forbids = |problem: Problem| problem.google().headers().contains_key("x-should-retry");
        assert!(forbids(loading(1.0, true)));
        assert!(!forbids(loading(1.0, false)));
        assert!(!forbids(Problem::new(Kind::Invalid, "no")));
    }

    #[test]
    fn google_errors_say_the_field_and_when_to_come_back() {
        let problem = Problem { retry_after: Some(Duration::from_secs(7)), ..Problem::invalid("wait", "too long") };
        let details = problem.google_body()["details"].take();
        assert_eq!(details[0]["reason"], "INVALID_REQUEST");
        assert_eq!(details[1]["fieldViolations"], json!([{"field": "wait", "description": "too long"}]));
        assert_eq!(
            (&details[2]["@type"], &details[2]["retryDelay"]),
            (&json!("type.googleapis.com/google.rpc.RetryInfo"), &json!("7s"))
        );
    }

    #[test]
    fn the_open_inference_protocol_knows_few_statuses() {
        let status = |kind| Problem::new(kind, "x").oip().status().as_u16();
        let kinds = [Kind::Invalid, Kind::NotFound, Kind::Unsupported, Kind::TooLarge, Kind::Busy, Kind::WontFit];
        assert_eq!(kinds.map(status), [400, 404, 501, 400, 503, 503]);
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
