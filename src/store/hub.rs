//! The hub, and mirrors of it, as a place that has files. Four requests: what a revision means, the tree of a commit,
//! what a file should be where the tree does not say so, and a range of its bytes.
//!
//! A large file lies in a storage behind the hub. Where that is, the hub is asked once; the ranges come from there.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use parking_lot::Mutex;
use reqwest::{
    Method, StatusCode, Url,
    header::{self, HeaderMap},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Config, StoreError,
    digest::Checksum,
    names::{is_plain_name, stays_inside},
    origin::{Body, Listed, Origin},
    transport::{Answer, Transport, TransportError, TransportRequest},
    xet::{Access, Xet},
};
use crate::remote::SecretUrl;

/// Pages of a tree, a thousand files each, that are asked for: more than any model has.
const PAGES: usize = 100;
/// Bytes of one answer. A page of a tree has a thousand files of some hundred bytes each, and what is said of a revision
/// lists all of its files once.
const LARGEST_ANSWER: usize = 8 << 20;
/// Files of all pages together: no model has so many, and each is remembered.
const FILES: usize = 100_000;

/// One repository of the hub at one revision.
pub(super) struct HubRepo<'a> {
    transport: &'a Transport,
    /// `None`: everything comes by ranges.
    xet: Option<&'a Xet>,
    /// In the order in which they are asked.
    endpoints: Vec<Endpoint<'a>>,
    repo: &'a str,
    revision: &'a str,
    /// The source as people write it.
    source_name: String,
    /// Locked for a look-up only; the inner lock is held while one request finds out for all.
    storages: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Option<Storage>>>>>,
}

/// The hub, or a mirror.
struct Endpoint<'a> {
    url: &'a SecretUrl,
    token: Option<&'a str>,
}

/// Where the bytes of a file really are.
#[derive(Clone)]
struct Storage {
    url: Url,
    /// The ETag there.
    version: Option<String>,
}

/// The answer about a revision, as far as it matters.
#[derive(Deserialize)]
struct Revision {
    sha: String,
}

/// One entry of a tree.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    /// Git's name of the file, or of the pointer that stands for a large one.
    #[serde(default)]
    oid: String,
    lfs: Option<Pointer>,
    #[serde(rename = "xetHash")]
    xet: Option<String>,
}

/// What stands in git for a large file.
#[derive(Deserialize)]
struct Pointer {
    /// Its sha256. Some mirrors leave it out.
    oid: Option<String>,
}

// === impl HubRepo ===

impl<'a> HubRepo<'a> {
    pub(super) fn new(
        transport: &'a Transport,
        xet: Option<&'a Xet>,
        config: &'a Config,
        repo: &'a str,
        revision: &'a str,
    ) -> Self {
        let token = config.token.as_ref().map(|token| token.0.as_str());
        let endpoint = |(index, url)| Endpoint { url, token: token.filter(|_| index == 0) };
        Self {
            transport,
            xet,
            endpoints: config.endpoints.iter().enumerate().map(endpoint).collect(),
            repo,
            revision,
            source_name: format!("hf://{repo}@{revision}"),
            storages: Mutex::default(),
        }
    }

    /// The first answer of an endpoint. A later one is asked where one does not answer, or does not have it.
    async fn first<'b, T, F>(&'b self, ask: impl Fn(&'b Endpoint<'a>) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
        'a: 'b,
    {
        let mut failure: Option<StoreError> = None;
        for endpoint in &self.endpoints {
            match ask(endpoint).await {
                Ok(answer) => return Ok(answer),
                Err(error) if !worth_another(&error) => return Err(error),
                Err(error) => {
                    if self.endpoints.len() > 1 {
                        tracing::info!(source = self.source_name, %error, "asking the next mirror");
                    }
                    // What may pass outweighs what will not: then it is worth coming again.
                    let keep = failure.as_ref().is_some_and(|known| passing(known) || !passing(&error));
                    failure = if keep { failure } else { Some(error) };
                }
            }
        }
        Err(failure.unwrap_or_else(|| StoreError::Setup("no address of a hub is configured".to_owned())))
    }

    async fn json<T: DeserializeOwned>(&self, endpoint: &Endpoint<'a>, url: Url) -> Result<(T, HeaderMap), StoreError> {
        let ask = TransportRequest {
            method: Method::GET,
            url,
            token: endpoint.token,
            range: None,
            version: None,
            stay: false,
        };
        let answer = self.transport.send(&ask).await.map_err(|error| self.error(endpoint, error))?;
        let headers = answer.response.headers().clone();
        let body = match answer.whole(LARGEST_ANSWER).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err(self.foreign(endpoint, "answers without end")),
            Err(_) => return Err(self.passing(endpoint, "broke off in an answer", None)),
        };
        let parsed = serde_json::from_slice(&body);
        Ok((parsed.map_err(|_| self.foreign(endpoint, "does not answer as a hub does"))?, headers))
    }

    async fn revision(&self, endpoint: &Endpoint<'a>) -> Result<String, StoreError> {
        let url = self.url(endpoint, &["api", "models"], &["revision", self.revision], "")?;
        let (Revision { sha }, _) = self.json(endpoint, url).await?;
        if is_plain_name(&sha) { Ok(sha) } else { Err(self.foreign(endpoint, "names a commit that is none")) }
    }

    async fn tree(&self, endpoint: &Endpoint<'a>, commit: &str) -> Result<Vec<Listed>, StoreError> {
        let mut url = self.url(endpoint, &["api", "models"], &["tree", commit], "")?;
        url.query_pairs_mut().append_pair("recursive", "true");
        let mut files = Vec::new();
        for _ in 0..PAGES {
            let (entries, headers): (Vec<Entry>, _) = self.json(endpoint, url.clone()).await?;
            files.extend(entries.into_iter().filter_map(Entry::listed));
            if files.len() > FILES {
                break;
            }
            match next_page(&headers, &url) {
                Some(next) => url = next,
                None => return self.inside(files),
            }
        }
        Err(self.foreign(endpoint, "lists files without end"))
    }

    fn inside(&self, files: Vec<Listed>) -> Result<Vec<Listed>, StoreError> {
        match files.iter().find(|file| !stays_inside(&file.path)) {
            Some(file) => Err(StoreError::Unsafe { source_name: self.source_name.clone(), file: file.path.clone() }),
            None => Ok(files),
        }
    }

    /// Asks the hub itself, not the storage behind it.
    async fn linked_etag(&self, endpoint: &Endpoint<'a>, commit: &str, file: &str) -> Result<Checksum, StoreError> {
        let url = self.url(endpoint, &[], &["resolve", commit], file)?;
        let ask = TransportRequest {
            method: Method::HEAD,
            url,
            token: endpoint.token,
            range: None,
            version: None,
            stay: true,
        };
        let answer = self.transport.send(&ask).await.map_err(|error| self.error(endpoint, error))?;
        let nameless = || self.foreign(endpoint, &format!("gives no checksum of {file}"));
        etag(answer.response.headers()).as_deref().and_then(Checksum::of_name).ok_or_else(nameless)
    }

    async fn bytes(
        &self,
        endpoint: &Endpoint<'a>,
        commit: &str,
        file: &Listed,
        range: &Range<u64>,
    ) -> Result<Body, StoreError> {
        let wanted = (range.end - range.start < file.size).then(|| range.clone());
        let slot = self.storages.lock().entry(file.path.clone()).or_default().clone();
        let mut known = slot.lock().await;
        if let Some(storage) = known.clone() {
            drop(known);
            let answer = match self.get(storage.url.clone(), None, wanted, storage.version.as_deref()).await {
                Ok(answer) => answer,
                Err(error) => {
                    // The link may have expired, or another storage may do better.
                    *slot.lock().await = None;
                    return Err(self.storage_error(endpoint, file, error));
                }
            };
            return self.body(endpoint, file, range, answer, &storage);
        }
        let url = self.url(endpoint, &[], &["resolve", commit], &file.path)?;
        let answer = self.get(url, endpoint.token, wanted, None).await;
        let answer = answer.map_err(|error| self.storage_error(endpoint, file, error))?;
        let storage = Storage { url: answer.url.clone(), version: answer.version() };
        if !same_host(&storage.url, endpoint.url) {
            *known = Some(storage.clone());
        }
        self.body(endpoint, file, range, answer, &storage)
    }

    /// The storage of chunks is named anew for each stream, because what opens it lasts for minutes only.
    async fn chunks(
        &self,
        xet: &Xet,
        endpoint: &Endpoint<'a>,
        commit: &str,
        (hash, size): (&str, u64),
        range: Range<u64>,
    ) -> Result<Body, StoreError> {
        let url = self.url(endpoint, &["api", "models"], &["xet-read-token", commit], "")?;
        let (access, _): (Access, _) = self.json(endpoint, url).await?;
        let from = range.start;
        let chunks = xet.read(access, hash, size, range).await.map_err(|why| self.passing(endpoint, &why, None))?;
        let (host, source_name) = (host(endpoint.url), self.source_name.clone());
        let broken = move |reason: String| StoreError::Unreachable {
            host: host.clone(),
            source_name: source_name.clone(),
            reason,
            retry_after: None,
        };
        Ok(Body { from, ranged: true, chunks: chunks.map(move |chunk| chunk.map_err(&broken)).boxed() })
    }

    fn body(
        &self,
        endpoint: &Endpoint<'a>,
        file: &Listed,
        range: &Range<u64>,
        answer: Answer,
        storage: &Storage,
    ) -> Result<Body, StoreError> {
        if storage.version.is_some() && answer.version() != storage.version {
            return Err(self.changed(file, "the server has another version of it"));
        }
        let from = answer.start(range, file.size).map_err(|reason| self.changed(file, &reason))?;
        let (host, source_name) = (host(endpoint.url), self.source_name.clone());
        let broken = move |reason: String| StoreError::Unreachable {
            host: host.clone(),
            source_name: source_name.clone(),
            reason,
            retry_after: None,
        };
        let ranged = answer.ranged();
        Ok(Body { from, ranged, chunks: answer.chunks().map(move |chunk| chunk.map_err(&broken)).boxed() })
    }

    async fn get(
        &self,
        url: Url,
        token: Option<&str>,
        range: Option<Range<u64>>,
        version: Option<&str>,
    ) -> Result<Answer, TransportError> {
        self.transport.send(&TransportRequest { method: Method::GET, url, token, range, version, stay: false }).await
    }

    /// `<endpoint>/<before…>/<org>/<name>/<after…>/<file>`, each component escaped.
    fn url(&self, endpoint: &Endpoint<'a>, before: &[&str], after: &[&str], file: &str) -> Result<Url, StoreError> {
        let mut url = Url::parse(endpoint.url.expose()).map_err(|error| StoreError::Setup(error.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(before).extend(self.repo.split('/')).extend(after);
            segments.extend(file.split('/').filter(|name| !name.is_empty()));
        }
        Ok(url)
    }

    fn error(&self, endpoint: &Endpoint<'a>, error: TransportError) -> StoreError {
        match error {
            TransportError::Passing { reason, retry_after } => self.passing(endpoint, &reason, retry_after),
            TransportError::Odd(reason) => self.foreign(endpoint, &reason),
            TransportError::Refused { status, code, .. } => self.refusal(endpoint, status, code.as_deref()),
        }
    }

    /// As [`Self::error`], where a storage may have answered: what it refuses, the hub may grant by a new link.
    fn storage_error(&self, endpoint: &Endpoint<'a>, file: &Listed, error: TransportError) -> StoreError {
        match error {
            TransportError::Refused { status: StatusCode::RANGE_NOT_SATISFIABLE, .. } => {
                self.changed(file, "the server has fewer bytes of it")
            }
            TransportError::Refused { status, url, .. } if !same_host(&url, endpoint.url) => {
                self.passing(endpoint, &format!("sends to a storage that answers {status}"), None)
            }
            other => self.error(endpoint, other),
        }
    }

    fn refusal(&self, endpoint: &Endpoint<'a>, status: StatusCode, code: Option<&str>) -> StoreError {
        let (host, source_name) = (host(endpoint.url), self.source_name.clone());
        match status.as_u16() {
            404 | 410 => StoreError::NotFound { host, source_name },
            401 | 403 => {
                let gated = code == Some("GatedRepo");
                let remedy = remedy(gated, endpoint.token.is_some(), endpoint.url, self.repo);
                StoreError::Denied { host, source_name, status: status.as_u16(), remedy, gated }
            }
            _ => self.foreign(endpoint, &format!("answers {status}")),
        }
    }

    fn passing(&self, endpoint: &Endpoint<'a>, reason: &str, retry_after: Option<Duration>) -> StoreError {
        let (host, source_name) = (host(endpoint.url), self.source_name.clone());
        StoreError::Unreachable { host, source_name, reason: reason.to_owned(), retry_after }
    }

    fn foreign(&self, endpoint: &Endpoint<'a>, reason: &str) -> StoreError {
        let (host, source_name) = (host(endpoint.url), self.source_name.clone());
        StoreError::Foreign { host, source_name, reason: reason.to_owned() }
    }

    fn changed(&self, file: &Listed, reason: &str) -> StoreError {
        let (source_name, file) = (self.source_name.clone(), file.path.clone());
        StoreError::Changed { source_name, file, reason: reason.to_owned() }
    }
}

impl Origin for HubRepo<'_> {
    fn host(&self) -> String {
        self.endpoints.first().map_or_else(String::new, |endpoint| host(endpoint.url))
    }

    fn commit(&self) -> BoxFuture<'_, Result<String, StoreError>> {
        self.first(|endpoint| self.revision(endpoint)).boxed()
    }

    fn list<'b>(&'b self, commit: &'b str) -> BoxFuture<'b, Result<Vec<Listed>, StoreError>> {
        self.first(|endpoint| self.tree(endpoint, commit)).boxed()
    }

    fn checksum<'b>(&'b self, commit: &'b str, file: &'b Listed) -> BoxFuture<'b, Result<Checksum, StoreError>> {
        self.first(|endpoint| self.linked_etag(endpoint, commit, &file.path)).boxed()
    }

    fn read<'b>(
        &'b self,
        commit: &'b str,
        file: &'b Listed,
        range: Range<u64>,
    ) -> BoxFuture<'b, Result<Body, StoreError>> {
        let read = async move { self.first(|endpoint| self.bytes(endpoint, commit, file, &range)).await };
        read.boxed()
    }

    fn stream<'b>(
        &'b self,
        commit: &'b str,
        file: &'b Listed,
        range: Range<u64>,
    ) -> BoxFuture<'b, Result<Option<Body>, StoreError>> {
        let stream = async move {
            let (Some(xet), Some(hash), Some(hub)) = (self.xet, file.chunked.as_deref(), self.endpoints.first()) else {
                return Ok(None);
            };
            self.chunks(xet, hub, commit, (hash, file.size), range).await.map(Some)
        };
        stream.boxed()
    }
}

// === impl Entry ===

impl Entry {
    fn listed(self) -> Option<Listed> {
        let name = match self.lfs {
            None => Some(self.oid),
            Some(Pointer { oid }) => oid,
        };
        let checksum = name.as_deref().and_then(Checksum::of_name);
        let Self { path, size, xet: chunked, .. } = self;
        (self.kind == "file").then_some(Listed { path, size, checksum, chunked })
    }
}

/// Reads well in the middle of a sentence.
fn host(endpoint: &SecretUrl) -> String {
    format!("the hub {endpoint}")
}

fn same_host(url: &Url, endpoint: &SecretUrl) -> bool {
    Url::parse(endpoint.expose()).is_ok_and(|endpoint| endpoint.origin() == url.origin())
}

fn passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Unreachable { .. })
}

/// Whether a mirror may know better.
fn worth_another(error: &StoreError) -> bool {
    use StoreError::{Denied, Foreign, NotFound, Unreachable};
    matches!(error, Unreachable { .. } | NotFound { .. } | Denied { .. } | Foreign { .. })
}

/// `Link: <address>; rel="next"`, if it stays where it is.
fn next_page(headers: &HeaderMap, here: &Url) -> Option<Url> {
    let links = headers.get(header::LINK)?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    here.join(address).ok().filter(|url| url.origin() == here.origin())
}

fn etag(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-linked-etag").or_else(|| headers.get(header::ETAG))?.to_str().ok()?;
    Some(value.trim_start_matches("W/").trim_matches('"').to_owned())
}

/// What to do about a refusal. Without a token the hub also refuses what does not exist.
fn remedy(gated: bool, with_token: bool, endpoint: &SecretUrl, repo: &str) -> String {
    match (gated, with_token) {
        (true, true) => format!(
            "the repository is gated; accept its licence at {endpoint}/{repo} with the account of HF_TOKEN, and let \
             the token read gated repositories"
        ),
        (true, false) => format!(
            "the repository is gated; accept its licence at {endpoint}/{repo} and set HF_TOKEN to a token of that \
             account"
        ),
        (false, true) => format!("HF_TOKEN is not valid, or may not read {repo}; check both"),
        (false, false) => "it is private or does not exist; check the name, or set HF_TOKEN".to_owned(),
    }
}
