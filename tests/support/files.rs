//! A server of plain files, for tests, with knobs that break it. It runs on a thread of its own and ends when it is
//! dropped.
//!
//! What lies at `/bucket/key` is a file of the web and an object of a bucket at once: it answers listings and uploads
//! the way Google Cloud Storage and S3 do in XML.

#![allow(dead_code, reason = "every test program uses another part of it")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, mpsc},
    task::{Context, Poll},
    thread::JoinHandle,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer,
    body::{BodySize, MessageBody},
    dev::ServerHandle,
    http::{Method, StatusCode, header},
    rt, web,
};
use sha2::Digest;

/// Bytes of a body that are handed out at a time.
const CHUNK: usize = 16 << 10;
/// When everything was last modified.
const MODIFIED: &str = "Fri, 20 Nov 2026 20:00:00 GMT";

/// A running server.
pub struct Files {
    shared: Arc<Shared>,
    address: SocketAddr,
    encrypted: bool,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// By path, without the first slash.
    things: BTreeMap<String, Thing>,
    /// Method and path of every request.
    requests: Vec<(Method, String)>,
    failures: Vec<(usize, u16)>,
    truncate: Option<usize>,
    without_ranges: bool,
}

#[derive(Clone)]
enum Thing {
    File { bytes: web::Bytes, content_type: String },
    Redirect(String),
}

/// A body that may end early.
struct Body {
    rest: web::Bytes,
    size: u64,
    /// The connection breaks when so many bytes are left.
    breaks_at: Option<usize>,
}

#[derive(Debug)]
struct Cut;

// === impl Files ===

impl Files {
    pub fn start() -> Self {
        Self::with(None)
    }

    /// Over TLS, as `localhost`; and the certificate, which nobody knows.
    pub fn start_tls() -> (Self, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = rustls::ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a configuration");
        (Self::with(Some(config)), cert.pem())
    }

    #[expect(clippy::disallowed_methods, reason = "one word goes through the channel")]
    fn with(tls: Option<rustls::ServerConfig>) -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, receiver) = mpsc::channel();
        let (state, encrypted) = (shared.clone(), tls.is_some());
        let thread = std::thread::spawn(move || {
            rt::System::new().block_on(async move {
                let app = move || App::new().app_data(web::Data::from(state.clone())).default_service(web::to(answer));
                let server = HttpServer::new(app).workers(1).shutdown_timeout(0).disable_signals();
                let server = match tls {
                    Some(config) => server.listen_rustls_0_23(listener, config),
                    None => server.listen(listener),
                };
                let server = server.expect("a listening socket").run();
                sender.send(server.handle()).expect("the test waits for it");
                server.await.expect("the server ends well");
            });
        });
        let handle = receiver.recv().expect("the server starts");
        Self { shared, address, encrypted, handle, thread: Some(thread) }
    }

    /// The base address.
    pub fn url(&self) -> String {
        match self.encrypted {
            true => format!("https://localhost:{}", self.address.port()),
            false => format!("http://{}", self.address),
        }
    }

    /// `host:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Puts a file at a path, which has no slash before it.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) -> &Self {
        let thing = Thing::File { bytes: bytes.into().into(), content_type: "application/octet-stream".to_owned() };
        self.state().things.insert(path.to_owned(), thing);
        self
    }

    /// Who asks for this path is sent to that address.
    pub fn redirect(&self, path: &str, to: &str) {
        self.state().things.insert(path.to_owned(), Thing::Redirect(to.to_owned()));
    }

    /// What lies at a path, and its type.
    pub fn get(&self, path: &str) -> Option<(Vec<u8>, String)> {
        match self.state().things.get(path)? {
            Thing::File { bytes, content_type } => Some((bytes.to_vec(), content_type.clone())),
            Thing::Redirect(_) => None,
        }
    }

    /// The next `times` requests fail.
    pub fn fail_next(&self, times: usize, status: u16) {
        self.state().failures.push((times, status));
    }

    /// The next file that is read breaks off after so many bytes.
    pub fn truncate_next(&self, bytes: usize) {
        self.state().truncate = Some(bytes);
    }

    /// Ranges are ignored: the answer is always the whole file.
    pub fn without_ranges(&self) {
        self.state().without_ranges = true;
    }

    /// Requests of any kind so far.
    pub fn requests(&self) -> usize {
        self.state().requests.len()
    }

    /// How often the content of a file was asked for, in whole or in part.
    pub fn downloads(&self, path: &str) -> usize {
        let wanted = format!("/{path}");
        self.state().requests.iter().filter(|(method, asked)| *method == Method::GET && *asked == wanted).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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
    fn failure(&mut self) -> Option<HttpResponse> {
        let (left, status) = self.failures.iter_mut().find(|(left, _)| *left > 0)?;
        *left -= 1;
        Some(builder(*status).body("told to fail"))
    }

    /// A listing of a bucket, below a prefix.
    fn list(&self, bucket: &str, prefix: &str) -> HttpResponse {
        let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult>".to_owned();
        for (path, thing) in &self.things {
            if let (Some(key), Thing::File { bytes, .. }) = (path.strip_prefix(&format!("{bucket}/")), thing)
                && key.starts_with(prefix)
            {
                let (size, etag) = (bytes.len(), etag(bytes));
                xml.push_str(&format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag>\
                     <LastModified>2026-11-20T20:00:00.000Z</LastModified></Contents>"
                ));
            }
        }
        xml.push_str("</ListBucketResult>");
        builder(200).content_type("application/xml").body(xml)
    }

    fn download(&mut self, request: &HttpRequest, path: &str) -> HttpResponse {
        let (bytes, content_type) = match self.things.get(path) {
            None => return builder(404).finish(),
            Some(Thing::Redirect(to)) => return builder(302).insert_header((header::LOCATION, to.clone())).finish(),
            Some(Thing::File { bytes, content_type }) => (bytes.clone(), content_type.clone()),
        };
        let (size, tag) = (bytes.len(), etag(&bytes));
        let condition = request.headers().get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        if condition.is_some_and(|wanted| wanted != tag) {
            return builder(412).finish();
        }
        let range = range(request, size).filter(|_| !self.without_ranges);
        let mut response = builder(if range.is_some() { 206 } else { 200 });
        response.insert_header((header::ETAG, tag)).insert_header((header::LAST_MODIFIED, MODIFIED));
        response.insert_header((header::CONTENT_TYPE, content_type));
        if let Some((start, end)) = range {
            if start >= size {
                return builder(416).finish();
            }
            response.insert_header((header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1)));
        }
        if request.method() == Method::HEAD {
            return response.body(Body { rest: web::Bytes::new(), size: size as u64, breaks_at: None });
        }
        let (start, end) = range.unwrap_or((0, size));
        let rest = bytes.slice(start..end);
        let breaks_at = self.truncate.take().map(|after| rest.len().saturating_sub(after));
        response.body(Body { size: rest.len() as u64, rest, breaks_at })
    }
}

// === impl Body ===

impl MessageBody for Body {
    type Error = Cut;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Cut>>> {
        let left = self.rest.len();
        if self.breaks_at.is_some_and(|at| left <= at) {
            return Poll::Ready(Some(Err(Cut)));
        }
        let next = CHUNK.min(left - self.breaks_at.unwrap_or(0));
        let chunk = self.rest.split_to(next);
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

async fn answer(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> Result<HttpResponse, Infallible> {
    let mut state = shared.state();
    state.requests.push((request.method().clone(), decoded(request.path())));
    if let Some(failure) = state.failure() {
        return Ok(failure);
    }
    let path = decoded(request.path()).trim_start_matches('/').to_owned();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    if *request.method() == Method::PUT {
        let named = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let thing = Thing::File { content_type: named.unwrap_or_default().to_owned(), bytes: body.clone() };
        state.things.insert(path, thing);
        return Ok(builder(200).insert_header((header::ETAG, etag(&body))).finish());
    }
    Ok(match query.contains_key("list-type") {
        true => state.list(path.trim_end_matches('/'), query.get("prefix").map_or("", String::as_str)),
        false => state.download(&request, &path),
    })
}

/// Without the percents.
fn decoded(path: &str) -> String {
    let plain = path.replace('+', "%2B");
    url::form_urlencoded::parse(plain.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

/// `bytes=a-b` as start and end, the end not included.
fn range(request: &HttpRequest, size: usize) -> Option<(usize, usize)> {
    let (start, end) = request.headers().get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let end = end.parse::<usize>().map_or(size, |last| (last + 1).min(size));
    Some((start.parse().ok()?, end))
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &sha256(bytes)[..32])
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}

fn builder(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).expect("a status"))
}
