//! What the tests of this folder read: `tests/fixtures/whisper/decode`, made by the `make.py` there with
//! openai-whisper.

use std::{fs, path::PathBuf, sync::Arc};

use serde::de::DeserializeOwned;

use super::{config::Config, decoding_config::DecodingConfig, tokens::Tokens};
use crate::model::{Location, ModelFiles};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/whisper/decode").join(name)
}

pub fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(path(name)).unwrap()).unwrap()
}

/// The files of the tiny random checkpoint.
pub fn files() -> ModelFiles {
    let mut files = ModelFiles::default();
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"] {
        files.insert("model", name, Location::Disk(path(name)));
    }
    files
}

pub fn config() -> Config {
    Config::from_json(&read("config.json")).unwrap()
}

pub fn decoding_config() -> Arc<DecodingConfig> {
    Arc::new(DecodingConfig::read(&files(), "model", &config()).unwrap())
}

pub fn tokens() -> Tokens {
    Tokens::new(&fs::read(path("tokenizer.json")).unwrap(), &Default::default(), config().vocab_size).unwrap()
}

/// Numbers in -4..4, the same as in `make.py`, bit for bit.
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let number = |index: u64| {
        let mixed = ((index + seed * 7919) * 2_654_435_761) % (1 << 32);
        let mixed = ((mixed ^ (mixed >> 15)) * 2_246_822_519) % (1 << 32);
        (mixed >> 8) as f32 / (1u32 << 24) as f32 * 8.0 - 4.0
    };
    (0..count as u64).map(number).collect()
}
