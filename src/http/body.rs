//! Request bodies: bounded, and of a known type.

use actix_web::{HttpMessage, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use mime::Mime;

use super::Problem;
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

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(request: &HttpRequest, mut payload: web::Payload, limit: usize) -> Result<Body, Problem> {
    let media_type =
        request.mime_type().map_err(|_| Problem::invalid("Content-Type", "Content-Type is not a media type"))?;
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Kind::Invalid, format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes: bytes.freeze(), media_type })
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

    /// The answer to a body that a route does not take.
    pub fn not_taken(&self, taken: &str) -> Problem {
        let got = self.media_type.as_ref().map_or("no Content-Type".to_owned(), |got| format!("Content-Type {got}"));
        Problem::new(Kind::UnsupportedMedia, format!("{got} is not taken here; send {taken}"))
    }

    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            Problem::new(Kind::Invalid, format!("the body is not the JSON that is expected here: {error}"))
        })
    }
}
