//! The program on cards of the stand-in driver, with a small Whisper, or with a small model that speaks.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    page::{Card, Page},
    support::{
        Server, ServerBuilder,
        native::content,
        recording,
        whisper::{self, Numbers, Size},
    },
};

/// Its decoder has the layers of large-v3-turbo. What is counted does not depend on how wide they are.
pub const SIZE: Size = Size { width: 64, heads: 2, layers: 4, numbers: Numbers::F16 };
/// Bytes that it is weighed with at least: its weights.
pub const SIZE_IN_MEMORY: u64 = 1_100_000;
pub const HOPPER: Card = Card { capability: 90, memory: 4 << 30, width: 5120 };
/// One pass over a recording, as speech is one: the driver computes nothing, so that all that is said would be doubted.
const ONE_PASS: [(&str, &str); 6] = [
    ("temperature", "0"),
    ("language", "en"),
    ("without_timestamps", "true"),
    ("compression_ratio_threshold", "null"),
    ("logprob_threshold", "null"),
    ("no_speech_threshold", "null"),
];

/// Of a length for which 150 tokens of Chatterbox or Higgs Audio are plausible.
pub const LONG_TEXT: &str =
    "Good morning to all of you who hear this, and good luck with all that you have to do on a day as long as this.";

/// A server that is yet to start, and what it needs.
pub struct Setup {
    pub page: Page,
    pub builder: ServerBuilder,
    folder: TempDir,
    others: Vec<TempDir>,
    /// What is asked instead of what a Whisper is, and where.
    asked: Option<(&'static str, Value)>,
}

/// One that runs.
pub struct Running {
    pub page: Page,
    pub server: Server,
    /// Of the model's files.
    pub folder: TempDir,
    _others: Vec<TempDir>,
    asked: Option<(&'static str, Value)>,
}

// === impl Setup ===

impl Setup {
    /// `m` is the model, in halves as an accelerator has it.
    pub fn new(cards: &[Card]) -> Self {
        let folder = TempDir::new().unwrap();
        whisper::write(folder.path(), SIZE);
        Self::of(cards, folder)
    }

    /// `m` is a model that hears, in its usual type, from a folder that stays; `options` are those of every request.
    pub fn hearing(cards: &[Card], folder: &Path, options: &Value) -> Self {
        let recording = content(&recording("good-morning.flac"));
        let asked = json!({"model": "m", "audio": recording, "language": "en", "options": options});
        let setup = Self { asked: Some(("/predict", asked)), ..Self::of(cards, TempDir::new().unwrap()) };
        setup.env("SCONCE_MODELS__M__SOURCE", &format!("file:{}", folder.display()))
    }

    /// `m` is a model that speaks, in its usual type; `text`, `voice` and `options` are those of every request.
    pub fn speaking(cards: &[Card], folder: TempDir, [text, voice]: [&str; 2], options: &Value) -> Self {
        let speech = json!({"model": "m", "input": text, "voice": voice, "response_format": "pcm", "options": options});
        Self { asked: Some(("/v1/audio/speech", speech)), ..Self::of(cards, folder) }
    }

    fn of(cards: &[Card], folder: TempDir) -> Self {
        let page = Page::new(cards);
        let builder = Server::builder()
            .env("CUDA_STAND_IN", &page.path().display().to_string())
            .env("LD_LIBRARY_PATH", &libraries())
            .env("SCONCE_RUNTIME__DEVICE", "auto")
            .env("SCONCE_RUNTIME__MAX_BATCH", "8");
        let builder = placed(builder, folder.path());
        Self { page, builder, folder, others: Vec::new(), asked: None }
    }

    pub fn env(self, name: &str, value: &str) -> Self {
        Self { builder: self.builder.env(name, value), ..self }
    }

    /// Another such model.
    pub fn and(mut self, name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        whisper::write(folder.path(), SIZE);
        let source = format!("file:{}", folder.path().display());
        self.others.push(folder);
        self.env(&format!("SCONCE_MODELS__{}__SOURCE", name.to_uppercase()), &source)
    }

    pub fn start(self) -> Running {
        let Self { page, builder, folder, others, asked } = self;
        Running { server: builder.spawn(), page, folder, _others: others, asked }
    }
}

// === impl Running ===

impl Running {
    pub async fn load(&self) {
        self.bring("m").await;
    }

    pub async fn bring(&self, model: &str) {
        let answer = self.server.post_json("/download-models", &json!({"models": [model], "wait": 100})).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        self.server.until_status_of(model, "ready").await;
    }

    pub async fn unload(&self) {
        let answer = self.server.post_json("/models/m/unload", &json!({"wait": 100})).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        self.server.until_status_of("m", "not_loaded").await;
    }

    pub async fn status(&self) -> Value {
        self.server.get_json("/models/status").await["models"]["m"].clone()
    }

    /// A window of sound, of which a Whisper says as much as it can; of another model what it was set up with. Sound that comes back is
    /// left out.
    pub async fn ask(&self) -> (u16, Value) {
        if let Some((route, asked)) = &self.asked {
            let answer = self.server.post_json(route, asked).await;
            let status = answer.status().as_u16();
            return (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default());
        }
        let answer = self.server.transcribe(recording("good-morning.flac"), "m", &ONE_PASS).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// `m` lies in a folder, or, where that holds folders alone, each of its parts in the one of its name.
fn placed(builder: ServerBuilder, folder: &Path) -> ServerBuilder {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    if !entries.iter().all(|entry| entry.is_dir()) {
        return builder.env("SCONCE_MODELS__M__SOURCE", &format!("file:{}", folder.display()));
    }
    entries.iter().fold(builder, |builder, part| {
        let name = part.file_name().unwrap().to_str().unwrap().to_uppercase();
        builder.env(&format!("SCONCE_MODELS__M__PARTS__{name}"), &format!("file:{}", part.display()))
    })
}

/// Where the stand-in's libraries lie: this program was started with them too.
#[expect(clippy::disallowed_methods, reason = "a test is told by its caller where the stand-in is")]
fn libraries() -> String {
    std::env::var("LD_LIBRARY_PATH").expect("LD_LIBRARY_PATH names the libraries of the stand-in; see .ci/cuda")
}
