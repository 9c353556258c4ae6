//! Requests over HTTP, as the sources that speak it need them: redirects are followed by hand, so that a token stays
//! with the host it is for and the place that a redirect leads to can be asked again; an answer has to begin in time;
//! and a host that fails again and again is left alone.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{self, HeaderMap},
    redirect,
};

use super::{StoreError, breaker::Breakers};
use crate::remote::root_cause;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects of one request: a renamed repository, a storage behind a gate, and some to spare.
const REDIRECTS: usize = 6;

/// What helps where no host answers.
const WAY_OUT: &str = "HTTPS_PROXY names a proxy, HF_ENDPOINT a mirror of the hub, and --offline uses what is here";

/// What makes requests. Proxies are those of the environment.
pub(super) struct Transport {
    client: reqwest::Client,
    /// An answer begins within this.
    retry_policy: Duration,
    breakers: Breakers,
}

/// One request.
pub(super) struct TransportRequest<'a> {
    pub method: Method,
    pub url: Url,
    /// Sent to the host of `url` and to no other.
    pub token: Option<&'a str>,
    pub range: Option<Range<u64>>,
    /// The range is wanted only of the version with this ETag.
    pub version: Option<&'a str>,
    /// Whether a redirect to another host is an answer like any other, instead of followed.
    pub stay: bool,
}

/// An answer that is no refusal.
pub(super) struct Answer {
    pub response: Response,
    /// Where it came from in the end.
    pub url: Url,
}

/// Why there is none.
pub(super) enum TransportError {
    /// Time may cure it. The reason reads well after the name of a host.
    Passing { reason: String, retry_after: Option<Duration> },
    Refused {
        status: StatusCode,
        /// The hub's word for it, in `x-error-code`.
        code: Option<String>,
        url: Url,
    },
    /// Nobody who speaks this protocol answers so.
    Odd(String),
}

// === impl Transport ===

impl Transport {
    pub(super) fn new(retry_policy: Duration) -> Result<Self, StoreError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("sconce/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            // One stream of HTTP/2 would share one connection's window among all ranges.
            .http1_only()
            .build()
            .map_err(|error| StoreError::Setup(root_cause(&error)))?;
        Ok(Self { client, retry_policy, breakers: Breakers::default() })
    }

    /// Asks, and follows where it is sent.
    pub(super) async fn send(&self, ask: &TransportRequest<'_>) -> Result<Answer, TransportError> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS {
            let response = self.once(ask, url.clone()).await?;
            if !response.status().is_redirection() {
                return judged(response, url);
            }
            let next =
                location(&response, &url).ok_or_else(|| TransportError::Odd("redirects to nowhere".to_owned()))?;
            if ask.stay && next.origin() != url.origin() {
                return Ok(Answer { response, url });
            }
            url = next;
        }
        Err(TransportError::Odd("redirects in a circle".to_owned()))
    }

    async fn once(&self, ask: &TransportRequest<'_>, url: Url) -> Result<Response, TransportError> {
        let host = host_of(&url);
        self.breakers.admit(&host).map_err(left_alone)?;
        let mut request = self.client.request(ask.method.clone(), url.clone());
        request = request.header(header::ACCEPT_ENCODING, "identity");
        if let Some(token) = ask.token.filter(|_| url.origin() == ask.url.origin()) {
            request = request.bearer_auth(token);
        }
        if let Some(Range { start, end }) = &ask.range {
            request = request.header(header::RANGE, format!("bytes={start}-{}", end.saturating_sub(1)));
        }
        if let Some(version) = ask.version {
            request = request.header(header::IF_RANGE, version);
        }
        let answer = match tokio::time::timeout(self.retry_policy, request.send()).await {
            Ok(answer) => answer.map_err(|error| failed(&error)),
            Err(_) => Err(format!("sent nothing for {} s", self.retry_policy.as_secs_f64())),
        };
        self.breakers.report(&host, answer.as_ref().is_ok_and(|answer| !answer.status().is_server_error()));
        answer.map_err(|reason| TransportError::Passing { reason, retry_after: None })
    }
}

// === impl Answer ===

impl Answer {
    /// Where in a file the body begins, given what was asked for and how long the file should be; or why the body is
    /// none of that file.
    pub(super) fn start(&self, range: &Range<u64>, size: u64) -> Result<u64, String> {
        start(self.response.status(), self.response.headers(), range, size)
    }

    /// Whether the body is the range that was asked for, and not the whole file.
    pub(super) fn ranged(&self) -> bool {
        self.response.status() == StatusCode::PARTIAL_CONTENT
    }

    /// The version of what the host sends, if it names one that can be asked for again.
    pub(super) fn version(&self) -> Option<String> {
        let etag = self.response.headers().get(header::ETAG)?.to_str().ok()?;
        etag.starts_with('"').then(|| etag.to_owned())
    }

    /// The whole body, if it is no larger than `limit`; it need not have a length that it is told by.
    pub(super) async fn whole(mut self, limit: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.response.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }

    /// The body, piece by piece. An error reads well after the name of a host.
    pub(super) fn chunks(self) -> BoxStream<'static, Result<Bytes, String>> {
        self.response.bytes_stream().map(|chunk| chunk.map_err(|error| failed(&error))).boxed()
    }
}

/// See [`Answer::start`].
fn start(status: StatusCode, headers: &HeaderMap, range: &Range<u64>, size: u64) -> Result<u64, String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if status != StatusCode::PARTIAL_CONTENT {
        let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        return match length {
            Some(length) if length != size => Err(format!("it has {length} bytes and was listed with {size}")),
            _ => Ok(0),
        };
    }
    let parsed = text(header::CONTENT_RANGE).and_then(parse_content_range);
    match parsed {
        None => Err("the range that came does not say which it is".to_owned()),
        Some((_, Some(total))) if total != size => Err(format!("it has {total} bytes and was listed with {size}")),
        Some((start, _)) if start != range.start => Err(format!("byte {start} came instead of {}", range.start)),
        Some((start, _)) => Ok(start),
    }
}

/// `bytes 0-99/1234` as the first byte and the total, where it is told.
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()))
}

fn judged(response: Response, url: Url) -> Result<Answer, TransportError> {
    let status = response.status();
    if status.is_success() {
        return Ok(Answer { response, url });
    }
    match status.as_u16() {
        408 | 425 | 429 | 500.. => {
            let retry_after = retry_after(response.headers());
            Err(TransportError::Passing { reason: format!("answers {status}"), retry_after })
        }
        _ => {
            let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).map(str::to_owned);
            Err(TransportError::Refused { status, code, url })
        }
    }
}

/// `host:port`, without the user that an address may name.
fn host_of(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

fn location(response: &Response, base: &Url) -> Option<Url> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    base.join(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

fn left_alone(wait: Duration) -> TransportError {
    let reason = format!("failed several times in a row and is left alone for some seconds ({WAY_OUT})");
    TransportError::Passing { reason, retry_after: Some(wait) }
}

/// Seconds, or a date. A date is read against the server's own clock where it tells it: ours may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let value = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let now = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    Some(then.duration_since(now.unwrap_or_else(std::time::SystemTime::now)).unwrap_or_default())
}

/// A reason that reads well after "the hub …". The innermost one: the outer ones repeat the address.
fn failed(error: &reqwest::Error) -> String {
    let cause = root_cause(error);
    match error.is_connect() {
        true => format!("cannot be reached: {cause} ({WAY_OUT})"),
        false => format!("broke off: {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_helps_is_told_of_a_host_that_is_left_alone_too() {
        let TransportError::Passing { reason, .. } = left_alone(Duration::from_secs(3)) else { panic!("it may pass") };
        assert!(["HTTPS_PROXY", "HF_ENDPOINT", "--offline"].iter().all(|way| reason.contains(way)), "{reason}");
    }

    #[test]
    fn a_server_may_ask_for_seconds_or_for_a_date() {
        assert_eq!(retry_after(&headers(&[("retry-after", " 7 ")])), Some(Duration::from_secs(7)));
        let both = [("date", "Fri, 20 Nov 2026 10:00:00 GMT"), ("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT")];
        assert_eq!(retry_after(&headers(&both)), Some(Duration::from_secs(90)), "by the server's own clock");
        let past = [("retry-after", "Fri, 20 Nov 2015 10:01:30 GMT")];
        assert_eq!(retry_after(&headers(&past)), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), None);
    }

    #[test]
    fn a_body_says_which_part_of_which_file_it_is() {
        let partial =
            |value: &str| start(StatusCode::PARTIAL_CONTENT, &headers(&[("content-range", value)]), &(10..20), 100);
        assert_eq!(partial("bytes 10-19/100"), Ok(10));
        assert_eq!(partial("bytes 10-19/*"), Ok(10));
        assert!(partial("bytes 10-19/101").unwrap_err().contains("101 bytes and was listed with 100"));
        assert!(partial("bytes 0-9/100").unwrap_err().contains("byte 0 came instead of 10"));
        assert!(partial("rubbish").is_err());
        let whole = |length: &str| start(StatusCode::OK, &headers(&[("content-length", length)]), &(10..20), 100);
        assert_eq!(whole("100"), Ok(0), "a server without ranges");
        assert!(whole("99").is_err());
        assert_eq!(start(StatusCode::OK, &HeaderMap::new(), &(10..20), 100), Ok(0));
    }
}
