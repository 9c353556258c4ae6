//! Request bodies: bounded, and of a known type.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    dev::Decompress,
    error::PayloadError,
    http::header::{self, HeaderMap},
    web,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use mime::Mime;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    api::Api,
    config::Config,
    exchange,
    json::{self, Counted},
    problem::Problem,
};
use crate::{
    service::{MemoryBudget, MemoryShare},
    speech::Kind,
};

/// Bytes of a packed body that are unpacked at once. Deflate makes at most 1032 times as much of them.
const PACKED_PIECE: usize = 1024;
/// For so long a body that is too large is read and thrown away. A connection that is closed with bytes unread is reset,
/// and whoever still sends, a proxy above all, never sees why.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes of a body that are read before the other callers of the thread have their turn. What a loopback sends is there at
/// once, and would be read to its end.
const TURN: usize = 256 << 10;

/// What is made of a JSON body.
struct Parsed {
    _share: MemoryShare,
}

/// All of a body, in parts of a [`TURN`].
struct Received {
    parts: Vec<Vec<u8>>,
    length: usize,
    share: MemoryShare,
}

/// A whole request body.
pub(super) struct Body {
    pub bytes: Bytes,
    pub media_type: Option<Mime>,
}

/// What a body is, as far as routes tell bodies apart.
pub(super) enum Shape {
    Json,
    Form,
    /// A recording as it is.
    Sound,
    /// A text as it is, plain or SSML.
    Text,
    /// None was named, or one that is not taken.
    Other,
}

/// Whether a body may be a form that is still being made: nobody says how long it will be.
pub(super) fn is_form_in_the_making(request: &HttpRequest) -> bool {
    let is_form = |media_type: Mime| media_type.essence_str() == mime::MULTIPART_FORM_DATA.essence_str();
    request.mime_type().ok().flatten().is_some_and(is_form)
        && length(request.headers()).is_none()
        && !request.headers().contains_key(header::CONTENT_ENCODING)
}

/// Reads a body that is no larger, after it was unpacked, and no slower than the configuration says, and of JSON holds no
/// more values.
pub(super) async fn read(request: &HttpRequest, payload: web::Payload, api: &Api) -> Result<Body, Problem> {
    let body = read_unseen(request, payload, api).await?;
    if let Shape::Json = body.shape() {
        count(request, api, &body).await?;
    }
    Ok(body)
}

/// Takes the memory of what is made of a JSON body, for as long as the request lasts.
async fn count(request: &HttpRequest, api: &Api, body: &Body) -> Result<(), Problem> {
    let (json, bodies, most) = (body.bytes.clone(), api.bodies.clone(), api.config.max_fields);
    let share = api.parsers.run(json.len(), move || parsed(&json, Counted::All, most, &bodies)).await??;
    request.extensions_mut().insert(Parsed { _share: share });
    Ok(())
}

/// The same, where what a body holds is for the route to find out.
pub(super) async fn read_unseen(request: &HttpRequest, mut payload: web::Payload, api: &Api) -> Result<Body, Problem> {
    let media_type = media_type(request)?;
    refuse_unknown_encoding(request)?;
    let Config { body_limit, body_timeout, .. } = api.config;
    if length(request.headers()).is_some_and(|length| length > body_limit as u64) {
        discard(&mut payload, body_limit).await;
        return Err(too_large(body_limit));
    }
    let payload = Decompress::from_headers(in_pieces(request, payload), request.headers());
    let received = tokio::time::timeout(body_timeout, receive(payload, body_limit, &api.bodies)).await;
    let received = received.map_err(|_| too_slow(body_timeout))??;
    exchange::work(request);
    Ok(Body { bytes: received.joined().await?, media_type })
}

/// Some clients send the field without a value. What they send is known by its content, as sound is.
fn media_type(request: &HttpRequest) -> Result<Option<Mime>, Problem> {
    let is_empty =
        request.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().trim_ascii().is_empty());
    if is_empty {
        return Ok(Some(mime::APPLICATION_OCTET_STREAM));
    }
    request.mime_type().map_err(|_| Problem::invalid("Content-Type", "Content-Type is not a media type"))
}

/// The answer to a request whose sender waits to be told to go on with its body (`Expect: 100-continue`), where that is
/// larger than any is taken.
pub fn refuse_body(api: &Api, path: &str, headers: &HeaderMap) -> Option<HttpResponse> {
    let limit = api.config.body_limit;
    let refused = length(headers).is_some_and(|length| length > limit as u64);
    refused.then(|| too_large(limit).answer(api.gate.routes().shape(path)))
}

/// The memory that JSON takes when it is parsed, if it holds no more than `most` values.
pub(super) fn parsed(
    json: &[u8],
    counted: Counted,
    most: usize,
    bodies: &MemoryBudget,
) -> Result<MemoryShare, Problem> {
    let values = json::count(json, counted, most)?;
    Ok(bodies.share(json.len().saturating_add(values.saturating_mul(json::VALUE)))?)
}

/// A JSON body that may be left out.
pub(super) async fn optional<T: DeserializeOwned + Default>(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<T, Problem> {
    // JSON, whatever it says that it is.
    let body = read_unseen(request, payload, api).await?;
    count(request, api, &body).await?;
    if body.bytes.is_empty() { Ok(T::default()) } else { body.json() }
}

/// Reads no more than as much again as a body may have.
async fn discard(payload: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin), limit: usize) {
    let rest = async {
        let mut read = 0;
        while let Some(Ok(chunk)) = payload.next().await {
            read += chunk.len();
            if read > limit {
                break;
            }
        }
    };
    // Whoever is slower has heard enough of it, or never will.
    drop(tokio::time::timeout(LINGER, rest).await);
}

/// The length of the body as it is sent, if the head says it.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// What is packed is unpacked a little at a time: a piece of the network's size could become a thousand times as much
/// before its length is looked at.
fn in_pieces(
    request: &HttpRequest,
    payload: web::Payload,
) -> impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + use<> {
    let size = if request.headers().contains_key(header::CONTENT_ENCODING) { PACKED_PIECE } else { usize::MAX };
    let cut = move |mut chunk: Bytes| {
        let next = move || (!chunk.is_empty()).then(|| Ok(chunk.split_to(chunk.len().min(size))));
        stream::iter(std::iter::from_fn(next))
    };
    payload
        .map(move |chunk| match chunk {
            Ok(chunk) => cut(chunk).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        })
        .flatten()
}

async fn receive(
    mut payload: Decompress<impl Stream<Item = Result<Bytes, PayloadError>> + Unpin>,
    limit: usize,
    bodies: &MemoryBudget,
) -> Result<Received, Problem> {
    let (mut parts, mut share, mut length) = (vec![Vec::new()], bodies.nothing(), 0);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Kind::Invalid, format!("the body broke off: {error}")))?;
        length += chunk.len();
        if length > limit {
            discard(&mut payload, limit).await;
            return Err(too_large(limit));
        }
        share.resize(length)?;
        if parts.last().is_some_and(|part| part.len() >= TURN) {
            parts.push(Vec::new());
            tokio::task::yield_now().await;
        }
        if let Some(part) = parts.last_mut() {
            part.try_reserve(chunk.len()).map_err(|_| no_memory())?;
            part.extend_from_slice(&chunk);
        }
    }
    Ok(Received { parts, length, share })
}

fn no_memory() -> Problem {
    let again = Some(Duration::from_secs(1));
    Problem { retry_after: again, ..Problem::new(Kind::Busy, "there is no memory left for the body") }
}

pub(super) fn too_slow(timeout: Duration) -> Problem {
    let message = format!("the body was not there after {timeout:?}; `limits.body_timeout` sets the limit");
    Problem::new(Kind::TooSlow, message)
}

/// What is not known would pass as it is, and be taken for something else.
fn refuse_unknown_encoding(request: &HttpRequest) -> Result<(), Problem> {
    const KNOWN: [&str; 3] = ["gzip", "deflate", "identity"];
    let Some(encoding) = request.headers().get(header::CONTENT_ENCODING) else { return Ok(()) };
    let encoding = encoding.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    if KNOWN.contains(&encoding.as_str()) {
        return Ok(());
    }
    let message = format!("Content-Encoding {encoding} is not taken here; send {}", KNOWN.join(", "));
    Err(Problem::new(Kind::UnsupportedMedia, message))
}

fn too_large(limit: usize) -> Problem {
    let megabytes = limit as f64 / 1e6;
    let message =
        format!("the body is larger than {limit} bytes ({megabytes:.1} MB); `limits.max_body` sets the limit");
    Problem::new(Kind::TooLarge, message)
}

// === impl Received ===

impl Received {
    /// In one piece. What is large is moved away from the threads of HTTP.
    async fn joined(mut self) -> Result<Bytes, Problem> {
        if self.parts.len() == 1 {
            return Ok(self.share.hold(self.parts.swap_remove(0)));
        }
        let Self { parts, length, share } = self;
        let join = move || {
            let mut bytes = Vec::new();
            // Without an abort where the system has nothing left.
            bytes.try_reserve_exact(length).map_err(|_| no_memory())?;
            parts.into_iter().for_each(|part| bytes.extend_from_slice(&part));
            Ok(share.hold(bytes))
        };
        let lost = |_| Problem::new(Kind::Internal, "internal error: the body was lost");
        tokio::task::spawn_blocking(join).await.map_err(lost)?
    }
}

// === impl Body ===

impl Body {
    pub fn shape(&self) -> Shape {
        let Some(media_type) = &self.media_type else { return Shape::Other };
        match (media_type.type_(), media_type.subtype()) {
            (mime::APPLICATION, subtype) if subtype == mime::JSON => Shape::Json,
            (mime::MULTIPART, subtype) if subtype == mime::FORM_DATA => Shape::Form,
            (mime::AUDIO | mime::VIDEO, _) | (mime::APPLICATION, mime::OCTET_STREAM) => Shape::Sound,
            (mime::APPLICATION, subtype) if subtype == "ogg" => Shape::Sound,
            (mime::TEXT, mime::PLAIN) => Shape::Text,
            _ if self.is_ssml() => Shape::Text,
            _ => Shape::Other,
        }
    }

    /// Whether it says that it is a recording.
    pub fn is_sound(&self) -> bool {
        matches!(self.shape(), Shape::Sound)
    }

    /// By its registered type (RFC 4267).
    fn is_ssml(&self) -> bool {
        self.media_type.as_ref().is_some_and(|media_type| media_type.essence_str() == "application/ssml+xml")
    }

    /// What a body that is text says beside the text.
    pub fn text_fields(&self) -> Map<String, Value> {
        let ssml = self.is_ssml().then(|| ("input_type".to_owned(), Value::from("ssml")));
        ssml.into_iter().collect()
    }

    /// A body that is text: a copy, whose memory is taken for as long as the request lasts.
    pub fn text(&self, api: &Api, request: &HttpRequest) -> Result<Arc<str>, Problem> {
        if let Some(charset) = self.media_type.as_ref().and_then(|media_type| media_type.get_param(mime::CHARSET))
            && charset != mime::UTF_8
        {
            return Err(Problem::invalid("Content-Type", format!("the charset is {charset}; send utf-8")));
        }
        let share = api.bodies.share(self.bytes.len())?;
        request.extensions_mut().insert(Parsed { _share: share });
        let wrong = |_| Problem::invalid("text", "the body is no UTF-8 text");
        std::str::from_utf8(&self.bytes).map(Arc::from).map_err(wrong)
    }

    /// The answer to a body that a route does not take.
    pub fn not_taken(&self, taken: &str) -> Problem {
        let got = self.media_type.as_ref().map_or("no Content-Type".to_owned(), |got| format!("Content-Type {got}"));
        Problem::new(Kind::UnsupportedMedia, format!("{got} is not taken here; send {taken}"))
    }

    /// [`Self::json`] away from the threads of HTTP. The body itself is gone afterwards.
    pub async fn parse<T: DeserializeOwned + Send + 'static>(self, api: &Api) -> Result<T, Problem> {
        api.parsers.run(self.bytes.len(), move || self.json()).await?
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.bytes).map_err(not_expected)
    }
}

/// The answer to JSON that is another than what a route takes.
pub(super) fn not_expected(error: serde_json::Error) -> Problem {
    Problem::new(Kind::Invalid, format!("the body is not the JSON that is expected here: {error}"))
}
