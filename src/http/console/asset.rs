//! The files of the page, inside the program.

use std::{collections::BTreeMap, io::Write as _, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::security::guarded;

const SOURCES: [(&str, &str); 20] = [
    ("api.js", include_str!("page/api.js")),
    ("app.js", include_str!("page/app.js")),
    ("charts.js", include_str!("page/charts.js")),
    ("convert.js", include_str!("page/convert.js")),
    ("dom.js", include_str!("page/dom.js")),
    ("hear.js", include_str!("page/hear.js")),
    ("icon.svg", include_str!("page/icon.svg")),
    ("index.html", include_str!("page/index.html")),
    ("made.js", include_str!("page/made.js")),
    ("metrics.js", include_str!("page/metrics.js")),
    ("models.js", include_str!("page/models.js")),
    ("now.js", include_str!("page/now.js")),
    ("player.js", include_str!("page/player.js")),
    ("recording.js", include_str!("page/recording.js")),
    ("snippets.js", include_str!("page/snippets.js")),
    ("sound.js", include_str!("page/sound.js")),
    ("speak.js", include_str!("page/speak.js")),
    ("store.js", include_str!("page/store.js")),
    ("style.css", include_str!("page/style.css")),
    ("transcript.js", include_str!("page/transcript.js")),
];

/// By name; made when somebody first looks.
static ASSETS: LazyLock<BTreeMap<&str, Asset>> =
    LazyLock::new(|| SOURCES.into_iter().map(|(name, text)| (name, Asset::new(name, text))).collect());

/// A file of the page.
pub(super) struct Asset {
    text: &'static str,
    gzip: Bytes,
    media_type: &'static str,
    /// Another one for every other content.
    tag: String,
}

// === impl Asset ===

impl Asset {
    pub fn find(name: &str) -> Option<&'static Self> {
        ASSETS.get(name)
    }

    fn new(name: &str, text: &'static str) -> Self {
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        Self { text, gzip: compressed(text), media_type: media_type(name), tag: format!("W/\"{}\"", &digest[..16]) }
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
        response.body(self.text)
    }
}

fn compressed(text: &str) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Memory takes all that is written to it.
    let _ = gzip.write_all(text.as_bytes());
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
    use std::{collections::BTreeSet, io::Read as _, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_inside_and_small_enough_together() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console/page");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let there: BTreeSet<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
        assert_eq!(there, ASSETS.keys().map(|name| (*name).to_owned()).collect());
        assert!(ASSETS.values().map(|asset| asset.gzip.len()).sum::<usize>() < 60_000);
    }

    #[test]
    fn what_is_compressed_is_the_file() {
        for asset in ASSETS.values() {
            let mut text = String::new();
            flate2::read::GzDecoder::new(&asset.gzip[..]).read_to_string(&mut text).unwrap();
            assert_eq!(text, asset.text);
        }
    }
}
