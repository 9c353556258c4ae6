//! One caller's side: requests to a server, and when what came of them.

use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde_json::Value;

use super::{events::Events, work::Work};
use crate::speech::TaskKind;

/// To a server that is there.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes a second of bare samples: 16 bits, 24 kHz, as OpenAI's API has them.
const PCM_BYTES: f64 = 48_000.0;
/// A caller who is refused comes again after so long, whatever the server asks for: it is there to be measured.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Whoever asks.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

/// What one request took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answer {
    /// From the request to the first text, or the first sound.
    pub first: Duration,
    /// To its end.
    pub whole: Duration,
    /// Seconds of sound that were heard or made.
    pub sound: f64,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Failure {
    /// When to come again.
    #[error("refused with {status}: the server has too much to do")]
    Refused { status: u16, pause: Duration },
    /// With what the server said.
    #[error("{0}")]
    Failed(String),
    #[error("there was no answer in time; --patience says how long that is")]
    Late,
}

// === impl Client ===

impl Client {
    /// `near`: on this machine, so that there is no proxy between, and a certificate names another host.
    pub fn new(url: &str, key: Option<String>, near: bool) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().connect_timeout(CONNECT);
        let http = if near { http.no_proxy().tls_danger_accept_invalid_certs(true) } else { http };
        let key = key.filter(|key| !key.is_empty());
        Ok(Self { http: http.build()?, url: url.trim_end_matches('/').to_owned(), key })
    }

    /// Asks once; the answer is read to its end.
    pub async fn ask(&self, work: &Work, patience: Duration) -> Result<Answer, Failure> {
        match tokio::time::timeout(patience, self.answer(work)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Late),
        }
    }

    /// Of an answer in JSON.
    pub async fn json(&self, work: &Work) -> anyhow::Result<Value> {
        let response = self.post(work).send().await?;
        anyhow::ensure!(response.status().is_success(), "{}", said(response).await);
        Ok(response.json().await?)
    }

    pub async fn events(&self, path: &str) -> anyhow::Result<Events> {
        let response = self.request(Method::GET, path).send().await.context("the server does not answer")?;
        anyhow::ensure!(response.status().is_success(), "{}", said(response).await);
        Ok(Events::of(response))
    }

    /// Posts nothing, and gives what a refusal says.
    pub async fn command(&self, path: &str) -> anyhow::Result<()> {
        let response = self.request(Method::POST, path).send().await.context("the server does not answer")?;
        anyhow::ensure!(response.status().is_success(), "{}", said(response).await);
        Ok(())
    }

    async fn answer(&self, work: &Work) -> Result<Answer, Failure> {
        let began = Instant::now();
        let response = self.post(work).send().await.map_err(|error| broken(&error))?;
        match response.status() {
            status if status.is_success() => {}
            status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                return Err(Failure::Refused { status: status.as_u16(), pause: pause(&response) });
            }
            _ => return Err(Failure::Failed(said(response).await)),
        }
        let (first, sound) = match work.task {
            TaskKind::Transcribe => (text(response).await?, work.heard),
            TaskKind::Synthesize | TaskKind::Convert => sound(response).await?,
        };
        Ok(Answer { first: first - began, whole: began.elapsed(), sound })
    }

    fn post(&self, work: &Work) -> RequestBuilder {
        self.request(Method::POST, work.path).header(header::CONTENT_TYPE, &work.media_type).body(work.body.clone())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }
}

/// Reads a text to its end, and says when the first of it was there.
async fn text(response: Response) -> Result<Instant, Failure> {
    let streamed = response.headers().get(header::CONTENT_TYPE).is_some_and(|media_type| {
        media_type.to_str().is_ok_and(|media_type| media_type.starts_with("text/event-stream"))
    });
    if !streamed {
        response.bytes().await.map_err(|error| broken(&error))?;
        return Ok(Instant::now());
    }
    let (mut events, mut first) = (Events::of(response), None);
    while let Some(data) = events.next().await.map_err(|error| Failure::Failed(error.to_string()))? {
        let event: Value = serde_json::from_str(&data).unwrap_or_default();
        if let Some(error) = event.get("error") {
            return Err(Failure::Failed(message(error)));
        }
        first.get_or_insert_with(Instant::now);
    }
    first.ok_or_else(|| Failure::Failed("the answer is empty".to_owned()))
}

/// Reads sound to its end, and says when the first of it was there and how long it is.
async fn sound(mut response: Response) -> Result<(Instant, f64), Failure> {
    let (mut first, mut bytes) = (None, 0);
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        first.get_or_insert_with(Instant::now);
        bytes += chunk.len();
    }
    let silent = || Failure::Failed("there is no sound in the answer".to_owned());
    Ok((first.ok_or_else(silent)?, bytes as f64 / PCM_BYTES))
}

/// How long a server that refuses wants to be left alone.
fn pause(response: &Response) -> Duration {
    let after = response.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    let [least, most] = PAUSES;
    Duration::from_secs(after.unwrap_or(1)).clamp(least, most)
}

/// What a refusal says.
async fn said(response: Response) -> String {
    let (status, body) = (response.status(), response.bytes().await.unwrap_or_default());
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let said = [message(&body["error"]), message(&body)].into_iter().find(|said| !said.is_empty());
    said.map_or_else(|| status.to_string(), |said| format!("{status}: {said}"))
}

fn message(error: &Value) -> String {
    error["message"].as_str().or(error.as_str()).unwrap_or_default().to_owned()
}

fn broken(error: &reqwest::Error) -> Failure {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    Failure::Failed(format!("the connection broke off: {innermost}"))
}
