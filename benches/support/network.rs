//! The network of a Whisper with random weights, of the shapes that were published.

#[allow(dead_code, reason = "the tests' part of it")]
#[path = "../../tests/support/whisper.rs"]
mod whisper;

use candle_core::Device;
use sconce::{
    families::whisper::{config::Config, net::Net},
    model::{Backing, Location, ModelFiles, Placement, Precision},
};
use serde_json::json;
use tempfile::TempDir;
use whisper::Numbers;

/// What tells the published networks apart.
#[derive(Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub width: usize,
    pub heads: usize,
    /// Layers.
    pub encoder: usize,
    pub decoder: usize,
    /// Of the log-mel.
    pub bands: usize,
    pub vocabulary: usize,
}

pub const TINY: Shape = Shape::new("tiny", 384, 4);
pub const BASE: Shape = Shape::new("base", 512, 6);
pub const SMALL: Shape = Shape::new("small", 768, 12);
#[allow(dead_code, reason = "not every benchmark waits for it")]
pub const TURBO: Shape = Shape { decoder: 4, bands: 128, vocabulary: 51866, ..Shape::new("large-v3-turbo", 1280, 32) };

impl Shape {
    const fn new(name: &'static str, width: usize, layers: usize) -> Self {
        Self { name, width, heads: width / 64, encoder: layers, decoder: layers, bands: 80, vocabulary: 51865 }
    }
}

/// The weights of its file are halves, which is mapped, as the server has it.
pub fn net(shape: Shape, threads: usize, dtype: Precision) -> Net {
    let Shape { width, heads, encoder, decoder, bands, vocabulary, .. } = shape;
    let json = json!({
        "model_type": "whisper", "activation_function": "gelu", "d_model": width,
        "encoder_layers": encoder, "encoder_attention_heads": heads, "encoder_ffn_dim": 4 * width,
        "decoder_layers": decoder, "decoder_attention_heads": heads, "decoder_ffn_dim": 4 * width,
        "num_mel_bins": bands, "max_source_positions": 1500, "max_target_positions": 448, "vocab_size": vocabulary,
    });
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("model.safetensors");
    whisper::weights(&file, &json, Numbers::F16);
    let mut files = ModelFiles::default();
    files.insert("model", "model.safetensors", Location::Disk(file));
    let place = Placement {
        device: Device::Cpu,
        dtype,
        weights: Backing::Mapped,
        threads,
        max_batch: 8,
        residency: Default::default(),
        references: Default::default(),
        programs: Default::default(),
    };
    // What is mapped stays when its name is gone.
    Net::load(Config::from_json(&json).expect("a valid configuration"), &files, "model", &place).expect("a network")
}

/// One window of noise: log-mel from -1 to 1, `[num_mel_bins, frames]` row by row.
pub fn noise(net: &Net) -> Vec<f32> {
    let mut state = 2u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..net.config().num_mel_bins * net.config().frames()).map(|_| next()).collect()
}
