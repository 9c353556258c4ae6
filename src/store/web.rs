//! One file of the web as a place that has files.
//!
//! Without a pin, its version is what the server says of it: its length and its ETag, or else its date.

use std::ops::Range;

use futures::{FutureExt, StreamExt, future::BoxFuture};
use reqwest::{Method, StatusCode, Url, header};

use super::{
    Link, StoreError,
    digest::Checksum,
    names::{fingerprint, version},
    origin::{Body, Listed, Origin},
    transport::{Answer, Transport, TransportError, TransportRequest},
};

/// One file of one web server.
pub(super) struct WebFile<'a> {
    transport: &'a Transport,
    link: &'a Link,
    url: Url,
}

// === impl WebFile ===

impl<'a> WebFile<'a> {
    pub(super) fn new(transport: &'a Transport, link: &'a Link, url: Url) -> Self {
        Self { transport, link, url }
    }

    /// How long it is, and which version. Asked by its first byte: who signs an address for GET refuses HEAD.
    async fn look(&self) -> Result<Listed, StoreError> {
        let answer = self.get(0..1).await?;
        let size = length(&answer).ok_or_else(|| self.foreign("does not say how long it is"))?;
        let checksum = match &self.link.sha256 {
            Some(sha256) => Checksum::Sha256(sha256.clone()),
            None => Checksum::Unknown(self.version(&answer, size)),
        };
        Ok(Listed { path: self.link.name(), size, checksum: Some(checksum), chunked: None })
    }

    async fn get(&self, range: Range<u64>) -> Result<Answer, StoreError> {
        let (method, url) = (Method::GET, self.url.clone());
        let ask = TransportRequest { method, url, token: None, range: Some(range), version: None, stay: false };
        let answer = self.transport.send(&ask).await.map_err(|error| self.error(error))?;
        let downgraded = self.url.scheme() == "https" && answer.url.scheme() != "https";
        match downgraded && self.link.sha256.is_none() {
            true => Err(self.foreign("sends to an http:// address, where anybody on the way can change it")),
            false => Ok(answer),
        }
    }

    async fn body(&self, file: &Listed, range: Range<u64>) -> Result<Body, StoreError> {
        let answer = self.get(range.clone()).await?;
        if matches!(&file.checksum, Some(Checksum::Unknown(known)) if *known != self.version(&answer, file.size)) {
            return Err(self.changed("the server has another version of it"));
        }
        let from = answer.start(&range, file.size).map_err(|reason| self.changed(&reason))?;
        let (host, source_name) = (self.host(), self.link.to_string());
        let broken = move |reason: String| StoreError::Unreachable {
            host: host.clone(),
            source_name: source_name.clone(),
            reason,
            retry_after: None,
        };
        let ranged = answer.ranged();
        Ok(Body { from, ranged, chunks: answer.chunks().map(move |chunk| chunk.map_err(&broken)).boxed() })
    }

    fn version(&self, answer: &Answer, size: u64) -> String {
        let text = |name| answer.response.headers().get(name).and_then(|value| value.to_str().ok());
        let tag = text(header::ETAG).or_else(|| text(header::LAST_MODIFIED)).unwrap_or_default();
        version(&self.link.name(), size, tag)
    }

    fn error(&self, error: TransportError) -> StoreError {
        let (host, source_name) = (self.host(), self.link.to_string());
        match error {
            TransportError::Passing { reason, retry_after } => {
                StoreError::Unreachable { host, source_name, reason, retry_after }
            }
            TransportError::Odd(reason) => StoreError::Foreign { host, source_name, reason },
            TransportError::Refused { status: StatusCode::RANGE_NOT_SATISFIABLE, .. } => {
                self.changed("the server has fewer bytes of it")
            }
            TransportError::Refused { status, .. } => match status.as_u16() {
                404 | 410 => StoreError::NotFound { host, source_name },
                401 | 403 => {
                    let remedy = "give an address that can be read without a login, for example a signed one that is \
                                  still good";
                    StoreError::Denied {
                        host,
                        source_name,
                        status: status.as_u16(),
                        remedy: remedy.to_owned(),
                        gated: false,
                    }
                }
                _ => StoreError::Foreign { host, source_name, reason: format!("answers {status}") },
            },
        }
    }

    fn foreign(&self, reason: &str) -> StoreError {
        let (host, source_name) = (self.host(), self.link.to_string());
        StoreError::Foreign { host, source_name, reason: reason.to_owned() }
    }

    fn changed(&self, reason: &str) -> StoreError {
        let (source_name, file) = (self.link.to_string(), self.link.name());
        StoreError::Changed { source_name, file, reason: reason.to_owned() }
    }
}

impl Origin for WebFile<'_> {
    fn host(&self) -> String {
        format!("the server {}", self.url.host_str().unwrap_or_default())
    }

    fn commit(&self) -> BoxFuture<'_, Result<String, StoreError>> {
        async move {
            match &self.link.sha256 {
                Some(sha256) => Ok(sha256.clone()),
                None => Ok(commit_of(&self.look().await?)),
            }
        }
        .boxed()
    }

    fn list<'b>(&'b self, commit: &'b str) -> BoxFuture<'b, Result<Vec<Listed>, StoreError>> {
        async move {
            let listed = self.look().await?;
            match self.link.sha256.is_some() || commit_of(&listed) == commit {
                true => Ok(vec![listed]),
                false => Err(self.changed("it is another one than a moment ago")),
            }
        }
        .boxed()
    }

    /// The listing says all that is known.
    fn checksum<'b>(&'b self, _: &'b str, file: &'b Listed) -> BoxFuture<'b, Result<Checksum, StoreError>> {
        let known = file.checksum.clone().ok_or_else(|| self.changed("it was never listed"));
        async move { known }.boxed()
    }

    fn read<'b>(&'b self, _: &'b str, file: &'b Listed, range: Range<u64>) -> BoxFuture<'b, Result<Body, StoreError>> {
        self.body(file, range).boxed()
    }
}

fn commit_of(listed: &Listed) -> String {
    fingerprint(listed.checksum.iter().map(|checksum| checksum.name().to_owned()))
}

/// Of the whole file, whether all of it was sent or a part.
fn length(answer: &Answer) -> Option<u64> {
    let text = |name| answer.response.headers().get(name).and_then(|value| value.to_str().ok());
    match answer.response.status() {
        StatusCode::PARTIAL_CONTENT => text(header::CONTENT_RANGE)?.rsplit_once('/')?.1.trim().parse().ok(),
        _ => text(header::CONTENT_LENGTH)?.parse().ok(),
    }
}
