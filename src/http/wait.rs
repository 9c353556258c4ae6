//! How long a caller waits for a model.

use std::time::{Duration, Instant};

use actix_web::HttpRequest;

use super::{problem::Problem, request_id};

/// Nobody waits longer for a model, whatever they ask.
pub(super) const LONGEST_WAIT: f64 = 3600.0;

/// A number of seconds that somebody can wait.
pub(super) fn seconds(param: &str, value: f64) -> Result<Duration, Problem> {
    let fine = (0.0..=LONGEST_WAIT).contains(&value);
    fine.then(|| Duration::from_secs_f64(value)).ok_or_else(|| {
        Problem::invalid(param, format!("{param} is {value}; 0 to {LONGEST_WAIT} seconds would be right"))
    })
}

/// Seconds in which the caller wants its answer, counted from when the request came.
const TIMEOUT: &str = "x-request-timeout";

/// When the caller does not want an answer any more: the sooner of what a field says, in seconds, and of what the header
/// does.
pub(super) fn deadline(request: &HttpRequest, field: Option<f64>) -> Result<Option<Instant>, Problem> {
    let header = request.headers().get(TIMEOUT).map(|value| {
        let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        seconds("X-Request-Timeout", number.unwrap_or(f64::NAN))
    });
    let field = field.map(|value| seconds("timeout", value)).transpose()?;
    let timeout = header.transpose()?.into_iter().chain(field).min();
    Ok(timeout.map(|timeout| request_id::arrived(request) + timeout))
}

/// `Prefer: wait=10` (RFC 7240). A preference that cannot be read is not kept, as the RFC has it.
pub(super) fn preferred_wait(request: &HttpRequest) -> Option<Duration> {
    let prefer = request.headers().get("prefer")?.to_str().ok()?;
    let wait = prefer.split([',', ';']).find_map(|part| part.trim().strip_prefix("wait="))?;
    seconds("wait", wait.trim_matches('"').parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_wait_comes_from_the_prefer_header() {
        let wait = |value: &'static str| {
            preferred_wait(&TestRequest::default().insert_header(("Prefer", value)).to_http_request())
        };
        assert_eq!(wait("respond-async, wait=10"), Some(Duration::from_secs(10)));
        assert_eq!(wait("wait=0"), Some(Duration::ZERO));
        assert_eq!(wait("wait=soon"), None);
        assert_eq!(wait("wait=-1"), None);
    }
}
