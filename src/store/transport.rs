//! The hub over the network. Listing and ranged streams are hf-hub's, without its retries and its cache: both are the
//! store's own. The sha256 of a large file, which hf-hub does not read from the listing, is asked for by a HEAD.

use std::{error::Error, future::Future, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use hf_hub::{
    HFClient, HFError, HFRepository,
    repository::{BlobLfsInfo, RepoTreeEntry, RepoTypeModel},
    split_id,
};
use reqwest::{StatusCode, header::HeaderMap, redirect};

use super::{
    Config, StoreError,
    shelf::Checksum,
    source::{Source, is_plain_name},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects within the hub, of a repository that was renamed.
const REDIRECTS: usize = 5;
/// A token that cannot be a header is never sent. Given in place of no token, or hf-hub would look for one by itself.
const NO_TOKEN: &str = "\n";

/// A hub.
pub(super) struct Transport {
    hub: HFClient,
    /// Stops before it leaves the hub: what a large file is, the hub says, not the storage behind it.
    heads: reqwest::Client,
    endpoint: String,
    token: Option<String>,
    idle_timeout: Duration,
}

/// One file of a listing.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub path: String,
    pub size: u64,
    /// Git's name of the file, or of the pointer that stands for a large one.
    oid: String,
    large: Option<BlobLfsInfo>,
}

/// A repository at a revision, as requests and errors name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub repo: &'a str,
    pub revision: &'a str,
}

// === impl Transport ===

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self, StoreError> {
        let setup = |error: &dyn Error| StoreError::Setup(root_cause(error));
        let agent = concat!("sconce/", env!("CARGO_PKG_VERSION"));
        let builder = || reqwest::Client::builder().user_agent(agent).connect_timeout(CONNECT_TIMEOUT);
        let token = config.token.as_ref().map(|token| token.0.clone());
        let hub = HFClient::builder()
            .endpoint(config.endpoint.clone())
            .token(token.as_deref().unwrap_or(NO_TOKEN))
            .client(builder().build().map_err(|error| setup(&error))?)
            .cache_enabled(false)
            .retry_max_attempts(0);
        Ok(Self {
            hub: hub.build().map_err(|error| setup(&error))?,
            heads: builder().redirect(within_the_hub()).build().map_err(|error| setup(&error))?,
            endpoint: config.endpoint.trim_end_matches('/').to_owned(),
            token,
            idle_timeout: config.idle_timeout,
        })
    }

    /// The commit that a revision means now.
    pub(super) async fn commit(&self, at: At<'_>) -> Result<String, StoreError> {
        let repo = self.model(at);
        let info = self.within(at, repo.info().revision(at.revision).send()).await?;
        let commit = info.sha.ok_or_else(|| self.foreign(at, "names no commit"))?;
        if is_plain_name(&commit) { Ok(commit) } else { Err(self.foreign(at, "names a commit that is none")) }
    }

    /// Every file of a commit.
    pub(super) async fn list(&self, at: At<'_>) -> Result<Vec<Listed>, StoreError> {
        let repo = self.model(at);
        let entries = repo.list_tree().revision(at.revision).recursive(true).send().map_err(|e| self.error(at, e))?;
        let entries: Vec<RepoTreeEntry> = self.within(at, Box::pin(entries.try_collect())).await?;
        let files: Vec<Listed> = entries.into_iter().filter_map(Listed::of).collect();
        match files.iter().find(|file| !stays_inside(&file.path)) {
            Some(file) => Err(StoreError::Unsafe { source_name: at.to_string(), file: file.path.clone() }),
            None => Ok(files),
        }
    }

    /// What a file should be.
    pub(super) async fn checksum(&self, at: At<'_>, file: &Listed) -> Result<Checksum, StoreError> {
        let name = match &file.large {
            None => Some(file.oid.clone()),
            Some(BlobLfsInfo { sha256: Some(sha256), .. }) => Some(sha256.clone()),
            Some(_) => self.linked_etag(at, &file.path).await?,
        };
        let nameless = || self.foreign(at, &format!("gives no checksum of {}", file.path));
        name.as_deref().and_then(Checksum::of_name).ok_or_else(nameless)
    }

    /// The bytes of a file from an offset to its end.
    pub(super) async fn stream<'a>(
        &'a self,
        at: At<'a>,
        file: &Listed,
        offset: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + 'a, StoreError> {
        let repo = self.model(at);
        let range = (offset > 0).then_some(offset..file.size);
        let request = repo.download_file_stream().filename(file.path.as_str()).revision(at.revision).maybe_range(range);
        let (_, chunks) = self.within(at, request.send()).await?;
        Ok(futures::stream::unfold(Some(chunks), move |chunks| async move {
            let mut chunks = chunks?;
            match tokio::time::timeout(self.idle_timeout, chunks.next()).await {
                Ok(None) => None,
                Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(chunks))),
                Ok(Some(Err(error))) => Some((Err(self.error(at, error)), None)),
                Err(_) => Some((Err(self.silent(at)), None)),
            }
        }))
    }

    async fn linked_etag(&self, at: At<'_>, file: &str) -> Result<Option<String>, StoreError> {
        let mut url = reqwest::Url::parse(&self.endpoint).map_err(|error| StoreError::Setup(error.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(at.repo.split('/')).push("resolve").push(at.revision);
            segments.extend(file.split('/'));
        }
        let mut request = self.heads.head(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let timed = tokio::time::timeout(self.idle_timeout, request.send()).await.map_err(|_| self.silent(at))?;
        let answer = timed.map_err(|error| self.unreachable(at, &failed(&error), None))?;
        if answer.status().is_success() || answer.status().is_redirection() {
            return Ok(etag(answer.headers()));
        }
        let retry_after = retry_after(answer.headers());
        let gated = answer.headers().get("x-error-code").is_some_and(|code| code == "GatedRepo");
        Err(self.refusal(at, answer.status(), gated, retry_after))
    }

    fn model(&self, at: At<'_>) -> HFRepository<RepoTypeModel> {
        let (owner, name) = split_id(at.repo);
        self.hub.model(owner, name)
    }

    /// One request, which may take no longer than a chunk may.
    async fn within<T>(&self, at: At<'_>, request: impl Future<Output = Result<T, HFError>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.idle_timeout, request).await {
            Ok(answer) => answer.map_err(|error| self.error(at, error)),
            Err(_) => Err(self.silent(at)),
        }
    }

    fn error(&self, at: At<'_>, error: HFError) -> StoreError {
        match &error {
            HFError::RepoNotFound { .. } | HFError::RevisionNotFound { .. } | HFError::EntryNotFound { .. } => {
                self.refusal(at, StatusCode::NOT_FOUND, false, None)
            }
            HFError::RateLimited { retry_after, .. } => {
                self.refusal(at, StatusCode::TOO_MANY_REQUESTS, false, *retry_after)
            }
            HFError::Http { context } | HFError::AuthRequired { context } | HFError::Forbidden { context } => {
                let gated = context.error_code.as_deref() == Some("GatedRepo");
                self.refusal(at, context.status, gated, None)
            }
            HFError::Json(_) | HFError::MalformedResponse { .. } => self.foreign(at, "does not answer as a hub does"),
            HFError::Request { source, .. } if is_not_json(source) => self.foreign(at, "does not answer as a hub does"),
            HFError::Request { source, .. } => self.unreachable(at, &failed(source), None),
            _ => self.unreachable(at, &format!("failed: {}", root_cause(&error)), None),
        }
    }

    fn refusal(&self, at: At<'_>, status: StatusCode, gated: bool, retry_after: Option<Duration>) -> StoreError {
        let (endpoint, source_name) = (self.endpoint.clone(), at.to_string());
        match status.as_u16() {
            404 | 410 => StoreError::NotFound { endpoint, source_name },
            401 | 403 => {
                let (repo, with_token) = (at.repo.to_owned(), self.token.is_some());
                StoreError::Denied { endpoint, source_name, repo, status: status.as_u16(), gated, with_token }
            }
            408 | 429 | 500.. => self.unreachable(at, &format!("answers {status}"), retry_after),
            _ => self.foreign(at, &format!("answers {status}")),
        }
    }

    fn silent(&self, at: At<'_>) -> StoreError {
        self.unreachable(at, &format!("sent nothing for {} s", self.idle_timeout.as_secs_f64()), None)
    }

    pub(super) fn unreachable(&self, at: At<'_>, reason: &str, retry_after: Option<Duration>) -> StoreError {
        let (endpoint, source_name) = (self.endpoint.clone(), at.to_string());
        StoreError::Unreachable { endpoint, source_name, reason: reason.to_owned(), retry_after }
    }

    fn foreign(&self, at: At<'_>, reason: &str) -> StoreError {
        let (endpoint, source_name) = (self.endpoint.clone(), at.to_string());
        StoreError::Foreign { endpoint, source_name, reason: reason.to_owned() }
    }
}

fn within_the_hub() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let same = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
        if same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
    })
}

/// A reason that reads well after "the hub …". The innermost one: the outer ones repeat the address.
fn failed(error: &reqwest::Error) -> String {
    let what = if error.is_connect() { "cannot be reached" } else { "broke off" };
    format!("{what}: {}", root_cause(error))
}

fn root_cause(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Whether a body arrived that was no JSON, rather than did not arrive.
fn is_not_json(error: &reqwest::Error) -> bool {
    error.source().is_some_and(|source| source.is::<serde_json::Error>())
}

fn etag(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-linked-etag").or_else(|| headers.get(reqwest::header::ETAG))?.to_str().ok()?;
    Some(value.trim_start_matches("W/").trim_matches('"').to_owned())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Whether a name of a listing, joined to a folder, stays in it, on every system.
fn stays_inside(path: &str) -> bool {
    let component = |name: &str| !matches!(name, "" | "." | "..");
    path.split('/').all(component) && !path.contains(['\\', ':', '\0'])
}

// === impl Listed ===

impl Listed {
    fn of(entry: RepoTreeEntry) -> Option<Self> {
        match entry {
            RepoTreeEntry::File { oid, size, path, lfs, .. } => Some(Self { path, size, oid, large: lfs }),
            RepoTreeEntry::Directory { .. } => None,
        }
    }
}

// === impl At ===

impl std::fmt::Display for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Source::Hub { repo: self.repo.to_owned(), revision: self.revision.to_owned() }.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::stays_inside;

    #[test]
    fn names_that_leave_their_folder_are_seen() {
        for name in ["../x", "/etc/passwd", "a/../../x", "a//b", "./x", "a\\..\\x", "C:x", "", "a/.."] {
            assert!(!stays_inside(name), "{name}");
        }
        for name in ["config.json", "onnx/model.onnx", ".gitattributes", "a..b"] {
            assert!(stays_inside(name), "{name}");
        }
    }
}
