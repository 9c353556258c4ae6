//! Questions to a running server, and why they are not answered.

mod metrics;
pub(super) mod status;

use std::{
    error::Error,
    time::{Duration, Instant, SystemTime},
};

use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, header::ACCEPT};

pub(super) use self::{
    metrics::{Values, growth, quantile},
    status::{Failure, Model, Status},
};

/// A server that is well answers these questions in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer: some hundred times what a server with a hundred models says.
const LONGEST: usize = 16 << 20;

/// A server that is asked how it is.
pub(super) struct Server {
    client: Client,
    url: String,
    key: Option<String>,
}

/// What a server said of itself.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub at: Instant,
    /// Seconds since 1970 by the clock of this machine.
    pub clock: f64,
    pub status: Status,
    pub values: Values,
}

/// Why nothing is known, and what helps.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum RequestFailure {
    #[error("{url} does not answer: {reason}. Is the server running there? --url names another")]
    Silent { url: String, reason: String },
    #[error("{url} did not answer within {} s. It may be starting, or have too much to do", PATIENCE.as_secs())]
    Slow { url: String },
    #[error("{url} asks for a key. Put one that it knows into the variable SCONCE_KEY")]
    Locked { url: String },
    #[error("{url} does not know this key. Put one that it knows into the variable SCONCE_KEY")]
    WrongKey { url: String },
    #[error("this key may not look at the models of {url}. Whoever runs the server can give you one that may")]
    Forbidden { url: String },
    #[error("{url} answered with {status}{}", told(.message))]
    Refused { url: String, status: u16, message: String },
    #[error("what answers at {url} is no Sconce, or one of another version: {reason}")]
    Strange { url: String, reason: String },
}

// === impl Server ===

impl Server {
    /// A neighbour: there is no proxy between, and its certificate names a host, not this address.
    pub fn at_home(url: String, key: Option<String>) -> reqwest::Result<Self> {
        Self::new(url, key, Client::builder().no_proxy().tls_danger_accept_invalid_certs(true))
    }

    pub fn elsewhere(url: &Url, key: Option<String>) -> reqwest::Result<Self> {
        Self::new(url.as_str().trim_end_matches('/').to_owned(), key, Client::builder())
    }

    fn new(url: String, key: Option<String>, client: ClientBuilder) -> reqwest::Result<Self> {
        Ok(Self { client: client.timeout(PATIENCE).build()?, url, key: key.filter(|key| !key.is_empty()) })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn read(&self) -> Result<Sample, RequestFailure> {
        let (status, values) = tokio::try_join!(self.status(), self.values())?;
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Ok(Sample { at: Instant::now(), clock, status, values })
    }

    pub async fn status(&self) -> Result<Status, RequestFailure> {
        let status = self.ask("/models/status").await?;
        serde_json::from_slice(&status)
            .map_err(|reason| RequestFailure::Strange { url: self.url.clone(), reason: reason.to_string() })
    }

    pub async fn values(&self) -> Result<Values, RequestFailure> {
        Ok(Values::parse(&String::from_utf8_lossy(&self.ask("/metrics").await?)))
    }

    async fn ask(&self, path: &str) -> Result<Vec<u8>, RequestFailure> {
        let request = self.client.get(format!("{}{path}", self.url)).header(ACCEPT, "application/json, text/plain");
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.silent(&error))?;
        match response.status() {
            status if status.is_success() => self.body(response).await,
            status => Err(self.refused(status, self.body(response).await.unwrap_or_default())),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, RequestFailure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(&error))? {
            if body.len() + chunk.len() > LONGEST {
                let reason = format!("an answer of more than {LONGEST} bytes");
                return Err(RequestFailure::Strange { url: self.url.clone(), reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn silent(&self, error: &reqwest::Error) -> RequestFailure {
        let url = self.url.clone();
        match error.is_timeout() {
            true => RequestFailure::Slow { url },
            false => RequestFailure::Silent { url, reason: cause(error) },
        }
    }

    fn refused(&self, status: StatusCode, body: Vec<u8>) -> RequestFailure {
        let url = self.url.clone();
        match (status, &self.key) {
            (StatusCode::UNAUTHORIZED, None) => RequestFailure::Locked { url },
            (StatusCode::UNAUTHORIZED, Some(_)) => RequestFailure::WrongKey { url },
            (StatusCode::FORBIDDEN, _) => RequestFailure::Forbidden { url },
            (StatusCode::NOT_FOUND, _) => {
                RequestFailure::Strange { url, reason: "it has no /models/status".to_owned() }
            }
            _ => RequestFailure::Refused { url, status: status.as_u16(), message: message(&body) },
        }
    }
}

/// What lies beneath an error, without the number that the system gives it.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let said = innermost.to_string();
    let words = said.split(" (os error").next().unwrap_or(&said);
    words.to_lowercase()
}

/// What a body of ours says of an error; nothing if it is none of ours.
fn message(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    value["error"]["message"].as_str().unwrap_or_default().to_owned()
}

fn told(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(key: Option<&str>) -> Server {
        Server::at_home("http://127.0.0.1:8080".to_owned(), key.map(str::to_owned)).unwrap()
    }

    #[test]
    fn a_refusal_says_what_helps() {
        let told =
            |key, code, body: &str| server(key).refused(StatusCode::from_u16(code).unwrap(), body.into()).to_string();
        assert!(told(None, 401, "").contains("asks for a key. Put one that it knows into the variable SCONCE_KEY"));
        assert!(told(Some("sk-a"), 401, "").contains("does not know this key"));
        assert!(!told(Some("sk-a"), 401, "").contains("sk-a"), "a key is not shown");
        assert!(told(Some("sk-a"), 403, "").contains("may not look at the models"));
        let busy = told(None, 429, r#"{"error": {"message": "too many requests"}}"#);
        assert_eq!(busy, "http://127.0.0.1:8080 answered with 429: too many requests");
        assert_eq!(told(None, 502, "<html>"), "http://127.0.0.1:8080 answered with 502");
        assert!(told(None, 404, "").contains("is no Sconce"));
    }

    #[test]
    fn an_empty_key_is_none() {
        assert_eq!(server(Some("")).key, None);
    }

    #[tokio::test]
    async fn who_does_not_answer_is_said_in_plain_words() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let trouble = Server::at_home(format!("http://{free}"), None).unwrap().read().await.unwrap_err();
        let said = format!("http://{free} does not answer: connection refused. Is the server running there?");
        assert!(trouble.to_string().starts_with(&said), "{trouble}");
    }
}
