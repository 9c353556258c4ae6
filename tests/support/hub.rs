//! A server that speaks the hub's protocol, for tests, with knobs that break it. It runs on a thread of its own and ends
//! when it is dropped.
//!
//! Like the real one it answers for a small file by itself and sends who wants a large one to a storage on another host,
//! which refuses requests that carry a token.

#![allow(dead_code, reason = "every test program uses another part of it")]
#![allow(clippy::result_large_err, reason = "a refusal is an answer like any other")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, mpsc},
    task::{Context, Poll, Waker},
    thread::JoinHandle,
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer,
    body::{BodySize, MessageBody},
    dev::ServerHandle,
    http::{Method, StatusCode, header},
    rt, web,
};
use serde_json::json;
use sha2::Digest;

/// Bytes of a chunk of a file that lies in chunks.
const XET_CHUNK: usize = 64 << 10;
/// Bytes before each chunk.
const XET_HEADER: usize = 8;
/// What opens the storage of chunks.
const XET_TOKEN: &str = "for the chunks alone";
/// Bytes of a body that are handed out at a time.
const CHUNK: usize = 16 << 10;
/// The range of who wants to know how large a model is before it fetches it. What is to go wrong with files goes wrong
/// with their downloads.
const LOOK: (usize, usize) = (0, 256 << 10);

/// A running hub.
pub struct Hub {
    shared: Arc<Shared>,
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// A repository that is being filled. Every change makes a new commit of its branch `main`.
pub struct Repo<'a> {
    hub: &'a Hub,
    name: String,
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    repos: BTreeMap<String, Versions>,
    knobs: Knobs,
    requests: Vec<Request>,
    /// Bytes of files that were sent.
    sent: u64,
    /// Chunks that were sent, by name.
    chunks: Vec<String>,
    /// Whether the storage was ever shown a token.
    token_leaked: bool,
    /// Bodies that wait for [`Hub::release`].
    stalled: Vec<Waker>,
}

/// A request that came.
struct Request {
    method: Method,
    path: String,
    /// Only of what a large file begins with.
    look: bool,
}

#[derive(Default)]
struct Versions {
    head: String,
    commits: BTreeMap<String, BTreeMap<String, File>>,
}

#[derive(Clone)]
struct File {
    bytes: web::Bytes,
    large: bool,
    /// Large, and to be had in chunks.
    chunked: bool,
    sha256: String,
    git: String,
}

/// What goes wrong next.
#[derive(Default)]
struct Knobs {
    failures: Vec<Failure>,
    truncate: Option<usize>,
    corrupt: usize,
    stall: bool,
    stall_large: bool,
    delay: Duration,
    /// Who may read.
    token: Option<String>,
    without_ranges: bool,
    /// Bytes per second of each connection.
    rate: Option<usize>,
    /// In place of what `Retry-After` would hold.
    retry_date: Option<String>,
    /// What the tree says of every size, beside the truth.
    size_off_by: i64,
    /// Bytes of blanks before each list of chunks.
    padding: usize,
}

struct Failure {
    path: String,
    left: usize,
    status: u16,
    retry_after: Option<u64>,
}

/// A body that may end early or stop half-way.
struct Body {
    rest: web::Bytes,
    size: u64,
    /// The connection breaks when so many bytes are left.
    breaks_at: Option<usize>,
    /// Stops when so many bytes are left, until released.
    stalls_at: Option<usize>,
    /// Bytes per second.
    rate: Option<usize>,
    pause: Option<Pin<Box<rt::time::Sleep>>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Cut;

// === impl Hub ===

impl Hub {
    #[expect(clippy::disallowed_methods, reason = "one word goes through the channel")]
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, receiver) = mpsc::channel();
        let state = shared.clone();
        let thread = std::thread::spawn(move || {
            rt::System::new().block_on(async move {
                let app = move || App::new().app_data(web::Data::from(state.clone())).default_service(web::to(answer));
                let server = HttpServer::new(app).workers(1).shutdown_timeout(0).disable_signals();
                let server = server.listen(listener).expect("a listening socket").run();
                sender.send(server.handle()).expect("the test waits for it");
                server.await.expect("the server ends well");
            });
        });
        let handle = receiver.recv().expect("the server starts");
        Self { shared, address, handle, thread: Some(thread) }
    }

    /// The base address, for `HF_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The repository of that name, made if there is none.
    pub fn repo(&self, name: &str) -> Repo<'_> {
        self.state().repos.entry(name.to_owned()).or_default();
        Repo { hub: self, name: name.to_owned() }
    }

    /// The next `times` requests fail.
    pub fn fail_next(&self, times: usize, status: u16, retry_after: Option<u64>) {
        self.fail_on("", times, status, retry_after);
    }

    /// The next `times` requests whose path holds `path` fail.
    pub fn fail_on(&self, path: &str, times: usize, status: u16, retry_after: Option<u64>) {
        self.state().knobs.failures.push(Failure { path: path.to_owned(), left: times, status, retry_after });
    }

    /// Takes back all failures that were ordered.
    pub fn heal(&self) {
        self.state().knobs.failures.clear();
    }

    /// The next file that is downloaded breaks off after so many bytes.
    pub fn truncate_next(&self, bytes: usize) {
        self.state().knobs.truncate = Some(bytes);
    }

    /// The next `times` files that are downloaded arrive with a wrong byte.
    pub fn corrupt(&self, times: usize) {
        self.state().knobs.corrupt = times;
    }

    /// Every file stops half-way, until [`Self::release`].
    pub fn stall(&self) {
        self.state().knobs.stall = true;
    }

    /// Every large file stops half-way, until [`Self::release`].
    pub fn stall_large(&self) {
        self.state().knobs.stall_large = true;
    }

    /// What stopped goes on.
    pub fn release(&self) {
        let mut state = self.state();
        (state.knobs.stall, state.knobs.stall_large) = (false, false);
        state.stalled.drain(..).for_each(Waker::wake);
    }

    /// Every answer takes so long.
    pub fn delay(&self, delay: Duration) {
        self.state().knobs.delay = delay;
    }

    /// All repositories want this token.
    pub fn gate(&self, token: &str) {
        self.state().knobs.token = Some(token.to_owned());
    }

    /// Ranges are ignored: the answer is always the whole file.
    pub fn without_ranges(&self) {
        self.state().knobs.without_ranges = true;
    }

    /// Each connection brings so many bytes per second.
    pub fn throttle(&self, bytes_per_second: usize) {
        self.state().knobs.rate = Some(bytes_per_second);
    }

    /// Failures name this date in `Retry-After`.
    pub fn retry_at(&self, date: &str) {
        self.state().knobs.retry_date = Some(date.to_owned());
    }

    /// The tree tells sizes of large files that are wrong by so many bytes.
    pub fn misstate_sizes(&self, by: i64) {
        self.state().knobs.size_off_by = by;
    }

    /// Lists of chunks are longer by so many bytes, which mean nothing.
    pub fn pad_chunk_lists(&self, bytes: usize) {
        self.state().knobs.padding = bytes;
    }

    /// The content of a file becomes another one, under the same commit, as no hub should do.
    pub fn swap(&self, repo: &str, name: &str, bytes: impl Into<Vec<u8>>) {
        let mut state = self.state();
        let versions = state.repos.get_mut(repo).expect("a repository");
        let files = versions.commits.get_mut(&versions.head).expect("a commit");
        let file = files.get_mut(name).expect("a file");
        *file = File::new(bytes.into(), file.large);
    }

    /// Bytes of files that were sent so far, as far as connections took them.
    pub fn sent(&self) -> u64 {
        self.state().sent
    }

    /// Chunks that were sent so far.
    pub fn chunks_sent(&self) -> usize {
        self.state().chunks.len()
    }

    /// Whether the storage, which is another host, was ever shown a token.
    pub fn token_leaked(&self) -> bool {
        self.state().token_leaked
    }

    /// Requests of any kind so far.
    pub fn requests(&self) -> usize {
        self.state().requests.len()
    }

    /// Requests to exactly this path.
    pub fn hits(&self, path: &str) -> usize {
        self.state().requests.iter().filter(|request| request.path == path).count()
    }

    /// How often the content of a file was asked for, in whole or in part, but for looks at what a large one begins with.
    pub fn downloads(&self, file: &str) -> usize {
        let (whole, stored) = (format!("/{file}"), "/storage/");
        let content = |path: &str| path.starts_with(stored) || path.contains("/resolve/");
        let state = self.state();
        let gets = state.requests.iter().filter(|request| request.method == Method::GET && !request.look);
        let (large, paths) = (state.is_large(file), gets.map(|request| &request.path));
        paths.filter(|path| path.ends_with(&whole) && content(path) && path.starts_with(stored) == large).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

// === impl Repo ===

impl Repo<'_> {
    /// A small file, as git keeps it.
    pub fn file(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.put(name, File::new(bytes.into(), false))
    }

    /// A large file, known by its sha256 and kept in a storage of its own.
    pub fn lfs(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.put(name, File::new(bytes.into(), true))
    }

    /// What `main` means now.
    /// A large file that lies in chunks as well, each under its own name in the storage of chunks.
    pub fn chunked(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.put(name, File { chunked: true, ..File::new(bytes.into(), true) })
    }

    pub fn commit(&self) -> String {
        self.hub.state().repos[&self.name].head.clone()
    }

    fn put(self, name: &str, file: File) -> Self {
        let mut state = self.hub.state();
        let versions = state.repos.get_mut(&self.name).expect("made by repo()");
        let mut files = versions.commits.get(&versions.head).cloned().unwrap_or_default();
        files.insert(name.to_owned(), file);
        versions.head = commit_of(&files);
        versions.commits.insert(versions.head.clone(), files);
        drop(state);
        self
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn is_large(&self, name: &str) -> bool {
        let heads = self.repos.values().filter_map(|versions| versions.commits.get(&versions.head));
        heads.filter_map(|files| files.get(name)).any(|file| file.large)
    }

    /// Every file that lies in chunks, of any commit.
    fn chunked(&self) -> impl Iterator<Item = &File> {
        let commits = self.repos.values().flat_map(|versions| versions.commits.values());
        commits.flat_map(BTreeMap::values).filter(|file| file.chunked)
    }

    fn failure(&mut self, path: &str) -> Option<HttpResponse> {
        let failure =
            self.knobs.failures.iter_mut().find(|failure| failure.left > 0 && path.contains(&failure.path))?;
        failure.left -= 1;
        let mut response = builder(failure.status);
        if let Some(date) = &self.knobs.retry_date {
            response.insert_header((header::RETRY_AFTER, date.as_str()));
        } else if let Some(seconds) = failure.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        Some(response.json(json!({ "error": "told to fail" })))
    }

    fn commit(&self, repo: &str, revision: &str) -> Result<(String, &BTreeMap<String, File>), HttpResponse> {
        let versions = self.repos.get(repo).ok_or_else(|| missing("RepoNotFound"))?;
        let commit = if revision == "main" { &versions.head } else { revision };
        let files = versions.commits.get(commit).ok_or_else(|| missing("RevisionNotFound"))?;
        Ok((commit.to_owned(), files))
    }

    /// The bytes of a file with all that is to go wrong with them.
    fn body(&mut self, file: &File, range: Option<(usize, usize)>, shared: Arc<Shared>) -> Body {
        let (start, end) = range.unwrap_or((0, file.bytes.len()));
        let mut bytes = file.bytes.slice(start..end);
        if (start, end) == LOOK && end < file.bytes.len() {
            let (size, rate) = (bytes.len() as u64, self.knobs.rate);
            return Body { size, rest: bytes, breaks_at: None, stalls_at: None, rate, pause: None, shared };
        }
        if self.knobs.corrupt > 0 && !bytes.is_empty() {
            self.knobs.corrupt -= 1;
            let mut wrong = bytes.to_vec();
            wrong[0] ^= 0xff;
            bytes = wrong.into();
        }
        let breaks_at = self.knobs.truncate.take().map(|after| bytes.len().saturating_sub(after));
        let stalls = self.knobs.stall || (self.knobs.stall_large && file.large);
        let stalls_at = stalls.then_some(bytes.len() / 2);
        let rate = self.knobs.rate;
        Body { size: bytes.len() as u64, rest: bytes, breaks_at, stalls_at, rate, pause: None, shared }
    }
}

// === impl File ===

impl File {
    fn new(bytes: Vec<u8>, large: bool) -> Self {
        Self { sha256: sha256(&bytes), git: git(&bytes), bytes: bytes.into(), large, chunked: false }
    }
}

// === impl Body ===

impl MessageBody for Body {
    type Error = Cut;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Cut>>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let left = self.rest.len();
        if self.breaks_at.is_some_and(|at| left <= at) {
            return Poll::Ready(Some(Err(Cut)));
        }
        if self.stalls_at.is_some_and(|at| left <= at) {
            let mut state = self.shared.state();
            if state.knobs.stall || state.knobs.stall_large {
                state.stalled.push(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let stop = self.breaks_at.into_iter().chain(self.stalls_at).filter(|at| *at < left).max().unwrap_or(0);
        let chunk = self.rest.split_to(CHUNK.min(left - stop));
        self.shared.state().sent += chunk.len() as u64;
        if let Some(rate) = self.rate {
            self.pause = Some(Box::pin(rt::time::sleep(Duration::from_secs_f64(chunk.len() as f64 / rate as f64))));
        }
        Poll::Ready((!chunk.is_empty()).then_some(Ok(chunk)))
    }
}

// === impl Cut ===

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was told to break")
    }
}

impl std::error::Error for Cut {}

async fn answer(request: HttpRequest, shared: web::Data<Shared>) -> Result<HttpResponse, Infallible> {
    let delay = shared.state().knobs.delay;
    if !delay.is_zero() {
        rt::time::sleep(delay).await;
    }
    let mut state = shared.state();
    let look = range(&request, usize::MAX) == Some(LOOK);
    state.requests.push(Request { method: request.method().clone(), path: request.path().to_owned(), look });
    if let Some(failure) = state.failure(request.path()) {
        return Ok(failure);
    }
    drop(state);
    Ok(route(&request, &shared.into_inner()).unwrap_or_else(|refusal| refusal))
}

fn route(request: &HttpRequest, shared: &Arc<Shared>) -> Result<HttpResponse, HttpResponse> {
    let path: Vec<&str> = request.path().trim_start_matches('/').split('/').collect();
    match path.as_slice() {
        ["storage", org, name, commit, file @ ..] => {
            if request.headers().contains_key(header::AUTHORIZATION) {
                shared.state().token_leaked = true;
                return Err(builder(400).body("only one way of authentication is allowed"));
            }
            download(request, shared, (&format!("{org}/{name}"), commit, &file.join("/")))
        }
        ["api", "models", org, name, "revision", revision] => {
            admit(request, shared)?;
            let (state, repo) = (shared.state(), format!("{org}/{name}"));
            let (commit, files) = state.commit(&repo, revision)?;
            let siblings: Vec<_> = files.keys().map(|name| json!({ "rfilename": name })).collect();
            Ok(builder(200).json(json!({ "id": repo, "sha": commit, "siblings": siblings })))
        }
        ["api", "models", org, name, "xet-read-token", revision] => {
            admit(request, shared)?;
            shared.state().commit(&format!("{org}/{name}"), revision)?;
            let port = request.app_config().local_addr().port();
            let url = format!("http://localhost:{port}/cas");
            Ok(builder(200).json(json!({ "accessToken": XET_TOKEN, "exp": 4_000_000_000_u64, "casUrl": url })))
        }
        ["cas", "v1", "reconstructions", hash] => reconstruction(request, shared, hash),
        ["cas", "chunks", hash] => chunk(shared, hash),
        ["api", "models", org, name, "tree", revision] => {
            admit(request, shared)?;
            let (state, repo) = (shared.state(), format!("{org}/{name}"));
            let (_, files) = state.commit(&repo, revision)?;
            let off_by = state.knobs.size_off_by;
            Ok(builder(200).json(files.iter().map(|(name, file)| listed(name, file, off_by)).collect::<Vec<_>>()))
        }
        [org, name, "resolve", revision, file @ ..] => {
            admit(request, shared)?;
            resolve(request, shared, (&format!("{org}/{name}"), revision, &file.join("/")))
        }
        _ => Err(missing("EntryNotFound")),
    }
}

fn admit(request: &HttpRequest, shared: &Shared) -> Result<(), HttpResponse> {
    let Some(token) = shared.state().knobs.token.clone() else { return Ok(()) };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given {
        Some(given) if given == format!("Bearer {token}") => Ok(()),
        given => {
            let status = if given.is_some() { 403 } else { 401 };
            Err(builder(status).insert_header(("x-error-code", "GatedRepo")).json(json!({ "error": "gated" })))
        }
    }
}

fn resolve(
    request: &HttpRequest,
    shared: &Arc<Shared>,
    (repo, revision, name): (&str, &str, &str),
) -> Result<HttpResponse, HttpResponse> {
    let state = shared.state();
    let (commit, files) = state.commit(repo, revision)?;
    let file = files.get(name).ok_or_else(|| missing("EntryNotFound"))?.clone();
    drop(state);
    if !file.large {
        return download(request, shared, (repo, &commit, name));
    }
    let port = request.app_config().local_addr().port();
    let mut response = builder(302);
    response.insert_header((header::LOCATION, format!("http://localhost:{port}/storage/{repo}/{commit}/{name}")));
    response.insert_header(("x-repo-commit", commit));
    response.insert_header(("x-linked-etag", format!("\"{}\"", file.sha256)));
    response.insert_header(("x-linked-size", file.bytes.len().to_string()));
    Ok(response.finish())
}

fn download(
    request: &HttpRequest,
    shared: &Arc<Shared>,
    (repo, commit, name): (&str, &str, &str),
) -> Result<HttpResponse, HttpResponse> {
    let mut state = shared.state();
    let file = state.commit(repo, commit)?.1.get(name).ok_or_else(|| missing("EntryNotFound"))?.clone();
    let size = file.bytes.len();
    let same = |version: &header::HeaderValue| {
        !file.large || version.to_str().is_ok_and(|version| version.contains(&file.sha256))
    };
    let fresh = request.headers().get(header::IF_RANGE).is_none_or(same);
    let range = range(request, size).filter(|_| !state.knobs.without_ranges && fresh);
    let mut response = builder(if range.is_some() { 206 } else { 200 });
    response.insert_header((
        header::ETAG,
        format!("\"{}\"", if file.large { format!("storage-{}", file.sha256) } else { file.git.clone() }),
    ));
    if !file.large {
        response.insert_header(("x-repo-commit", commit));
    }
    if let Some((start, end)) = range {
        if start >= size {
            return Err(builder(416).finish());
        }
        response.insert_header((header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1)));
    }
    if request.method() == Method::HEAD {
        return Ok(response.body(Empty(size as u64)));
    }
    let body = state.body(&file, range, shared.clone());
    Ok(response.body(body))
}

/// Which chunks make a part of a file, and where each is. Here every chunk is a xorb of its own.
fn reconstruction(request: &HttpRequest, shared: &Arc<Shared>, hash: &str) -> Result<HttpResponse, HttpResponse> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given != Some(&format!("Bearer {XET_TOKEN}")) {
        return Err(builder(401).finish());
    }
    let state = shared.state();
    let file = state.chunked().find(|file| file.sha256 == hash).ok_or_else(|| missing("EntryNotFound"))?;
    let (start, end) = range(request, file.bytes.len()).unwrap_or((0, file.bytes.len()));
    if start >= file.bytes.len() {
        return Err(builder(416).finish());
    }
    let port = request.app_config().local_addr().port();
    let first = start / XET_CHUNK;
    let parts: Vec<&[u8]> = file.bytes.chunks(XET_CHUNK).collect();
    let parts = &parts[first..end.div_ceil(XET_CHUNK)];
    let whole = json!({ "start": 0, "end": 1 });
    let terms = parts.iter().map(|part| json!({ "hash": sha256(part), "unpacked_length": part.len(), "range": whole }));
    let place = |part: &&[u8]| {
        let hash = sha256(part);
        let url = format!("http://localhost:{port}/cas/chunks/{hash}");
        let bytes = json!({ "start": 0, "end": part.len() + XET_HEADER - 1 });
        (hash, json!([{ "range": whole, "url": url, "url_range": bytes }]))
    };
    let list = json!({
        "offset_into_first_range": start - first * XET_CHUNK,
        "terms": terms.collect::<Vec<_>>(),
        "fetch_info": parts.iter().map(place).collect::<BTreeMap<_, _>>(),
    });
    Ok(builder(200).content_type("application/json").body(" ".repeat(state.knobs.padding) + &list.to_string()))
}

/// A chunk as it lies in a xorb: version, length, scheme 0 (as it is), length again, bytes.
fn chunk(shared: &Arc<Shared>, hash: &str) -> Result<HttpResponse, HttpResponse> {
    let mut state = shared.state();
    let part = state.chunked().flat_map(|file| file.bytes.chunks(XET_CHUNK)).find(|part| sha256(part) == hash);
    let part = part.ok_or_else(|| missing("EntryNotFound"))?.to_vec();
    let length = &u32::try_from(part.len()).expect("a chunk is small").to_le_bytes()[..3];
    let body = [&[0], length, &[0], length, &part].concat();
    state.sent += body.len() as u64;
    state.chunks.push(hash.to_owned());
    let content_range = format!("bytes 0-{}/{}", body.len() - 1, body.len());
    Ok(builder(206).insert_header((header::CONTENT_RANGE, content_range)).body(body))
}

/// The length of a body that is not sent.
struct Empty(u64);

// === impl Empty ===

impl MessageBody for Empty {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}

/// `bytes=a-b` as start and end, the end not included.
fn range(request: &HttpRequest, size: usize) -> Option<(usize, usize)> {
    let (start, end) = request.headers().get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let end = end.parse::<usize>().map_or(size, |last| (last + 1).min(size));
    Some((start.parse().ok()?, end))
}

fn listed(name: &str, file: &File, off_by: i64) -> serde_json::Value {
    let (oid, size) = (&file.git, file.bytes.len() as i64 + if file.large { off_by } else { 0 });
    match file.large {
        false => json!({ "type": "file", "oid": oid, "size": size, "path": name }),
        true => {
            let mut entry = json!({
                "type": "file", "oid": oid, "size": size, "path": name,
                "lfs": { "oid": file.sha256, "size": size, "pointerSize": 134 },
            });
            if file.chunked {
                entry["xetHash"] = json!(file.sha256);
            }
            entry
        }
    }
}

fn builder(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).expect("a status"))
}

fn missing(code: &str) -> HttpResponse {
    builder(404).insert_header(("x-error-code", code)).json(json!({ "error": code }))
}

/// Another id for other files.
fn commit_of(files: &BTreeMap<String, File>) -> String {
    let mut hash = sha2::Sha256::new();
    for (name, file) in files {
        hash.update(format!("{name} {} {}\n", file.large, file.sha256));
    }
    hex::encode(hash.finalize())[..40].to_owned()
}

/// The name of a large file.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}

/// The name that git gives a small file.
pub fn git(bytes: &[u8]) -> String {
    hex::encode(sha1::Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
}
