//! Request bodies: bounded, and of a known type.

use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest, dev::Decompress, http::header, web};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use mime::Mime;
use serde::de::DeserializeOwned;

use super::{
    api::Api,
    body_budget::{BodyBudget, Share},
    config::Config,
    problem::Problem,
};
use crate::speech::Kind;

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
    /// None was named, or one that is not taken.
    Other,
}

/// Reads a body that is no larger, after it was unpacked, and no slower than the configuration says.
pub(super) async fn read(request: &HttpRequest, payload: web::Payload, api: &Api) -> Result<Body, Problem> {
    let media_type =
        request.mime_type().map_err(|_| Problem::invalid("Content-Type", "Content-Type is not a media type"))?;
    refuse_unknown_encoding(request)?;
    let payload = Decompress::from_headers(payload, request.headers());
    let Config { body_limit, body_timeout, .. } = api.config;
    let (bytes, share) = tokio::time::timeout(body_timeout, collect(payload, body_limit, &api.bodies))
        .await
        .map_err(|_| too_slow(body_timeout))??;
    // The recording is in memory for as long as the request is.
    request.extensions_mut().insert(share);
    Ok(Body { bytes, media_type })
}

/// A JSON body that may be left out.
pub(super) async fn optional<T: DeserializeOwned + Default>(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<T, Problem> {
    let body = read(request, payload, api).await?;
    if body.bytes.is_empty() { Ok(T::default()) } else { body.json() }
}

async fn collect(
    mut payload: Decompress<web::Payload>,
    limit: usize,
    bodies: &BodyBudget,
) -> Result<(Bytes, Option<Share>), Problem> {
    let (mut bytes, mut share) = (BytesMut::new(), None);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Kind::Invalid, format!("the body broke off: {error}")))?;
        let length = bytes.len() + chunk.len();
        if length > limit {
            return Err(too_large(limit));
        }
        bodies.grow(&mut share, length)?;
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes.freeze(), share))
}

fn too_slow(timeout: Duration) -> Problem {
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

// === impl Body ===

impl Body {
    pub fn shape(&self) -> Shape {
        let Some(media_type) = &self.media_type else { return Shape::Other };
        match (media_type.type_(), media_type.subtype()) {
            (mime::APPLICATION, subtype) if subtype == mime::JSON => Shape::Json,
            (mime::MULTIPART, subtype) if subtype == mime::FORM_DATA => Shape::Form,
            (mime::AUDIO | mime::VIDEO, _) | (mime::APPLICATION, mime::OCTET_STREAM) => Shape::Sound,
            (mime::APPLICATION, subtype) if subtype == "ogg" => Shape::Sound,
            _ => Shape::Other,
        }
    }

    /// Whether it says that it is a recording.
    pub fn is_sound(&self) -> bool {
        matches!(self.shape(), Shape::Sound)
    }

    /// The answer to a body that a route does not take.
    pub fn not_taken(&self, taken: &str) -> Problem {
        let got = self.media_type.as_ref().map_or("no Content-Type".to_owned(), |got| format!("Content-Type {got}"));
        Problem::new(Kind::UnsupportedMedia, format!("{got} is not taken here; send {taken}"))
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            Problem::new(Kind::Invalid, format!("the body is not the JSON that is expected here: {error}"))
        })
    }
}
