//! A file inside the program that a browser is shown.

use std::io::Write as _;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::security::guarded;

/// A file that a browser is shown.
pub(super) struct Asset {
    text: Bytes,
    gzip: Bytes,
    media_type: &'static str,
    /// Another one for every other content.
    tag: String,
}

// === impl Asset ===

impl Asset {
    /// The end of its name says what it is.
    pub fn new(name: &str, text: impl Into<Bytes>) -> Self {
        let text = text.into();
        let digest = hex::encode(Sha256::digest(&text));
        let (gzip, tag) = (compressed(&text), format!("W/\"{}\"", &digest[..16]));
        Self { text, gzip, media_type: media_type(name), tag }
    }

    #[cfg(test)]
    pub fn compressed_length(&self) -> usize {
        self.gzip.len()
    }

    /// The file, or that it is as it was. A browser asks each time, so that a new server is never shown an old page.
    pub fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let says = |name: header::HeaderName, word: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.is_some_and(|value| value.split(',').any(|part| part.trim() == word))
        };
        let unchanged = says(header::IF_NONE_MATCH, &self.tag);
        let mut response = guarded(if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
        response
            .insert_header((header::ETAG, self.tag.as_str()))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::VARY, "accept-encoding"));
        if unchanged {
            return response.finish();
        }
        response.content_type(self.media_type);
        if says(header::ACCEPT_ENCODING, "gzip") {
            return response.insert_header((header::CONTENT_ENCODING, "gzip")).body(self.gzip.clone());
        }
        response.body(self.text.clone())
    }
}

fn compressed(text: &[u8]) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Memory takes all that is written to it.
    let _ = gzip.write_all(text);
    gzip.finish().unwrap_or_default().into()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_compressed_is_the_file() {
        let asset = Asset::new("a.css", "body { margin: 0 }");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&asset.gzip[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "body { margin: 0 }");
        assert_ne!(asset.tag, Asset::new("a.css", "body { margin: 1px }").tag);
    }
}
