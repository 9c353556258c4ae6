//! From what a failure means to a status, in one place; each protocol's shape of an error.

pub(super) mod schemas;

use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode, http::header};
use serde_json::{Map, Value, json};

pub(super) use crate::speech::Problem;

use crate::speech::Kind;

/// Longest `Retry-After`, in seconds: the official OpenAI client ignores longer ones.
const LONGEST_RETRY_AFTER: u64 = 120;

/// Where it is shown how far a model is.
const STATUS_URL: &str = "/models/status";

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
        let mut error = Map::new();
        error.insert("message".to_owned(), message.as_str().into());
        error.insert("type".to_owned(), family.into());
        error.insert("param".to_owned(), self.param.as_deref().into());
        error.insert("code".to_owned(), code.into());
        error.extend(self.outlook());
        json!({"error": error})
    }

    /// Of a model that would have to come first: where to look, and when it is expected, if that can be told.
    fn outlook(&self) -> Map<String, Value> {
        let mut outlook = Map::new();
        if let Some(awaited) = &self.awaited {
            outlook.insert("status_url".to_owned(), STATUS_URL.into());
            outlook.extend(awaited.eta.map(|eta| ("eta_seconds".to_owned(), whole_seconds(eta).into())));
        }
        outlook
    }

    /// As the Open Inference Protocol has it: a text, and one of the few statuses that it knows.
    pub(super) fn oip(&self) -> HttpResponse {
        let mut body = self.outlook();
        body.insert("error".to_owned(), self.message.as_str().into());
        self.response(oip_status(self.kind)).json(body)
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
        let metadata = self.metadata();
        let mut details = vec![detail("ErrorInfo", json!({"reason": reason, "domain": domain, "metadata": metadata}))];
        if let Some(param) = &self.param {
            let violation = json!({"field": param, "description": self.message});
            details.push(detail("BadRequest", json!({"fieldViolations": [violation]})));
        }
        if let Some(seconds) = self.retry_seconds() {
            details.push(detail("RetryInfo", json!({"retryDelay": format!("{seconds}s")})));
        }
        details
    }

    /// What stands in `google.rpc.ErrorInfo`, whose values are texts.
    fn metadata(&self) -> Map<String, Value> {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let outlook = self.outlook().into_iter().map(|(name, value)| (name, text(value).into()));
        let model = self.awaited.iter().map(|awaited| ("model".to_owned(), awaited.model.as_str().into()));
        model.chain(outlook).collect()
    }

    fn response(&self, status: StatusCode) -> actix_web::HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        if let Some(seconds) = self.retry_seconds() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.permanent && status.is_server_error() {
            // Clients repeat a 5xx unless they are told that it is of no use.
            response.insert_header(("x-should-retry", "false"));
        } else if !self.permanent && self.retry_after.is_some() {
            response.insert_header(("x-should-retry", "true"));
        }
        response
    }

    fn retry_seconds(&self) -> Option<u64> {
        self.retry_after.map(|after| whole_seconds(after).clamp(1, LONGEST_RETRY_AFTER))
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs_f64().ceil() as u64
}

/// The one place where meaning becomes a status.
fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid | Kind::Unsupported => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
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
        Kind::WrongMethod => "method_not_allowed",
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
        Kind::WrongMethod => "UNIMPLEMENTED",
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
    use super::*;
    use crate::speech::Awaited;

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
    fn clients_are_told_whether_a_retry_helps_where_they_would_guess() {
        let says = |problem: Problem| {
            problem.openai().headers().get("x-should-retry").map(|says| says.to_str().unwrap().to_owned())
        };
        assert_eq!(says(loading(1.0, true)).as_deref(), Some("false"));
        assert_eq!(says(loading(1.0, false)).as_deref(), Some("true"));
        assert_eq!(says(Problem::busy("full", Duration::from_secs(1))).as_deref(), Some("true"));
        assert_eq!(says(Problem::new(Kind::Deadline, "late").passing()), None, "perhaps, with more time");
        assert_eq!(says(Problem::new(Kind::Invalid, "no")), None, "nobody repeats a 400");
    }

    #[test]
    fn each_protocol_says_where_to_look_and_when_the_model_is_expected() {
        let awaited = |eta| Some(Awaited { model: "acme/m".to_owned(), eta });
        let problem = Problem { awaited: awaited(Some(Duration::from_secs_f64(11.2))), ..loading(5.0, false) };
        let error = &problem.openai_body()["error"];
        assert_eq!((&error["status_url"], &error["eta_seconds"]), (&json!("/models/status"), &json!(12)));
        let metadata = json!({"model": "acme/m", "status_url": "/models/status", "eta_seconds": "12"});
        assert_eq!(problem.google_body()["details"][0]["metadata"], metadata);
        let unknown = Problem { awaited: awaited(None), ..loading(5.0, false) };
        assert!(unknown.openai_body()["error"].get("eta_seconds").is_none());
        assert_eq!(unknown.outlook(), *json!({"status_url": "/models/status"}).as_object().unwrap());
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
