//! Errors of each protocol, as `/openapi.json` describes them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An error as OpenAI's API writes it.
#[derive(ToSchema)]
#[schema(example = json!({"error": {"message": "the field model is missing", "type": "invalid_request_error",
    "param": "model", "code": "invalid_request"}}))]
#[expect(dead_code, reason = "describes what `http::problem` writes")]
pub(in crate::http) struct OpenAiError {
    #[schema(inline)]
    error: OpenAiErrorBody,
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OpenAiErrorBody {
    /// What was wrong, and what would be right.
    message: String,
    /// `invalid_request_error`, `rate_limit_error` or `server_error`.
    r#type: String,
    /// The field at fault.
    #[schema(required = true)]
    param: Option<String>,
    /// A word for programs.
    code: String,
    /// Where a model that has to come first shows how far it is.
    #[schema(nullable = false)]
    status_url: Option<String>,
    /// Seconds until it is expected, where that can be told.
    #[schema(nullable = false)]
    eta_seconds: Option<u64>,
}

/// An error as Google's APIs write it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `http::problem` writes")]
pub(in crate::http) struct GoogleError {
    #[schema(inline)]
    error: GoogleErrorBody,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `http::problem` writes")]
struct GoogleErrorBody {
    /// The HTTP status.
    code: u16,
    /// What was wrong, and what would be right.
    message: String,
    /// A name of google.rpc.Code.
    status: String,
    /// What a program wants to know, in the types of google/rpc/error_details.proto. The metadata of `ErrorInfo` hold
    /// `model`, `status_url` and `eta_seconds` of a model that has to come first.
    details: Vec<serde_json::Map<String, Value>>,
}

/// An error of the Open Inference Protocol.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `http::problem` writes")]
pub(in crate::http) struct OipError {
    /// What was wrong, and what would be right.
    error: String,
    /// Where a model that has to come first shows how far it is.
    #[schema(nullable = false)]
    status_url: Option<String>,
    /// Seconds until it is expected, where that can be told.
    #[schema(nullable = false)]
    eta_seconds: Option<u64>,
}
