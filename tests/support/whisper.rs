//! Whispers of any size, with random weights: they say nothing, and load like any other.

use std::{fs, path::Path};

pub use sconce::families::whisper::random::Numbers;
use sconce::families::whisper::random::write_weights;
use serde_json::{Value, json};

/// Of the weights.
const SEED: u64 = 1;

/// How wide and how deep.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub width: usize,
    pub heads: usize,
    /// Of the encoder, and of the decoder.
    pub layers: usize,
    pub numbers: Numbers,
}

/// Everything that is not a size comes from the embedded model.
const NANO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/whisper-nano.en");

/// Writes such a model into an empty folder.
pub fn write(folder: &Path, size: Size) {
    fs::create_dir_all(folder).unwrap();
    for file in ["generation_config.json", "preprocessor_config.json", "tokenizer.json"] {
        fs::copy(Path::new(NANO).join(file), folder.join(file)).unwrap();
    }
    let config = config(size);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    weights(&folder.join("model.safetensors"), &config, size.numbers);
}

/// The weights of such a model with something in them that is no number: it loads, and computes nothing.
pub fn spoiled(mut weights: Vec<u8>) -> Vec<u8> {
    let (length, content) = weights.split_at_mut(8);
    let (header, tensors) = content.split_at_mut(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let header: Value = serde_json::from_slice(header).unwrap();
    let offsets = &header["model.decoder.layer_norm.weight"]["data_offsets"];
    let [begin, end] = [0, 1].map(|at| offsets[at].as_u64().unwrap() as usize);
    // All ones are no number in any type.
    tensors[begin..end].fill(0xff);
    weights
}

fn config(Size { width, heads, layers, .. }: Size) -> Value {
    let text = fs::read(Path::new(NANO).join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&text).unwrap();
    for (field, value) in [("d_model", width), ("encoder_ffn_dim", 4 * width), ("decoder_ffn_dim", 4 * width)] {
        config[field] = json!(value);
    }
    for half in ["encoder", "decoder"] {
        config[format!("{half}_layers")] = json!(layers);
        config[format!("{half}_attention_heads")] = json!(heads);
    }
    config
}

/// The weights that a `config.json` is about.
pub fn weights(path: &Path, config: &Value, numbers: Numbers) {
    write_weights(path, config, numbers, SEED).unwrap();
}
