//! ONNX Runtime, where this machine has it, and tiny voices that it computes.

use std::{fs, path::Path, time::Duration};

use reqwest::Response;
use sconce::audio::{Pcm, decode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Server, fixture, python};

/// The setting that says where the library is.
pub const LIBRARY: &str = "SCONCE_ONNX__LIBRARY";

/// A voice that a server speaks in.
pub struct Voice {
    /// Its usual one.
    pub name: &'static str,
    pub text: &'static str,
}

/// The folder of packages that holds the library, where there is one.
pub fn library() -> Option<String> {
    python::packages_with("onnxruntime").map(|packages| packages.display().to_string())
}

/// A folder with files of a fixture, each under a name of its own.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (from, to) in files {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture(from), to).unwrap();
    }
    folder
}

/// Changes a JSON file.
pub fn change(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

// === impl Voice ===

impl Voice {
    /// Asks for its text as a file; `fields`: what else is asked for.
    pub async fn ask(&self, server: &Server, fields: Value) -> Response {
        let mut request = json!({"model": "tts-1", "input": self.text, "voice": self.name, "response_format": "wav"});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        server.post_json("/v1/audio/speech", &request).await
    }

    pub async fn spoken(&self, server: &Server, fields: Value) -> Pcm {
        let answer = self.ask(server, fields.clone()).await;
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(status, 200, "{fields}: {}", String::from_utf8_lossy(&bytes));
        decode(&bytes, None, 16_000, Duration::from_secs(900)).unwrap().pcm
    }

    /// The status of the answer, and what it says.
    pub async fn refused(&self, server: &Server, fields: Value) -> (u16, String) {
        let answer = self.ask(server, fields).await;
        let status = answer.status().as_u16();
        let error = answer.json::<Value>().await.unwrap()["error"].take();
        (status, format!("{} {}", error["param"], error["message"]))
    }
}
