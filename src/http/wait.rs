//! How long a caller waits for a model.

use std::time::Duration;

use actix_web::HttpRequest;

use super::problem::Problem;

/// Nobody waits longer for a model, whatever they ask.
pub(super) const LONGEST_WAIT: f64 = 3600.0;

/// A number of seconds that somebody can wait.
pub(super) fn seconds(param: &str, value: f64) -> Result<Duration, Problem> {
    let fine = (0.0..=LONGEST_WAIT).contains(&value);
    fine.then(|| Duration::from_secs_f64(value)).ok_or_else(|| {
        Problem::invalid(param, format!("{param} is {value}; 0 to {LONGEST_WAIT} seconds would be right"))
    })
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
