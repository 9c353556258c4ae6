//! What the tests stand on: a hub of our own, and the real server on a port of its own.
#![allow(dead_code, unused_imports, reason = "each test program uses its own share")]

pub mod chatterbox;
pub mod espeak;
pub mod files;
pub mod film;
pub mod higgs;
pub mod hub;
pub mod native;
pub mod onnx;
pub mod probes;
pub mod python;
pub mod server;
pub mod socket;
pub mod sound;
pub mod tmpfs;
pub mod torch;
pub mod vosk;
pub mod whisper;
pub mod worker;
pub mod wyoming;
pub mod yue;
pub mod zonos;

use std::path::PathBuf;

use hub::Hub;
pub use server::{Server, ServerBuilder};

/// A file of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file of fixtures: in the folder that `SCONCE_FIXTURES` names if it is there, else that of the checkout.
pub fn fixture(file: &str) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller which fixtures to read")]
    let elsewhere = std::env::var_os("SCONCE_FIXTURES").map(|folder| PathBuf::from(folder).join(file));
    elsewhere.filter(|file| file.exists()).unwrap_or_else(|| checkout("tests/fixtures").join(file))
}

/// The bytes of a recording that the project ships.
pub fn recording(name: &str) -> Vec<u8> {
    let path = checkout("assets/recordings").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Puts the embedded model on the hub, as `name`, so that tests download a real model.
pub fn publish_nano(hub: &Hub, name: &str) {
    let folder = checkout("assets/models/whisper-nano.en");
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
    let mut repo = hub.repo(name);
    for file in ["config.json", "generation_config.json", "tokenizer.json", "preprocessor_config.json"] {
        repo = repo.file(file, read(file));
    }
    repo.lfs("model.safetensors", read("model.safetensors"));
}
