//! Against `transformers` and `mistral-common`, on the fixtures that `tests/fixtures/voxtral/make.py` makes: those in the
//! repository, or others of any seed and sizes where `SCONCE_FIXTURES` names the folder that `voxtral` lies in.

mod answers;
mod candle;
mod files;
#[cfg(feature = "cuda")]
mod gpu;
mod numerics;

use std::{collections::HashMap, fs, path::PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde_json::Value;

use super::{Voxtral, config::Config, decoding_config::DecodingConfig, net::Net, options::HOP};
use crate::{
    audio::{LogMel, MelSpec, Pcm, Spectrum},
    families::fixtures,
    model::{Backing, Family, Location, Model, ModelFiles, Placement, Precision},
};

const FILES: [&str; 4] = ["config.json", "generation_config.json", "model.safetensors", "tekken.json"];

/// Largest difference allowed, relative to the largest number in the reference. Both sum in f32 and in another order: 9e-7 with
/// the fixtures in the repository, and more with wider ones.
const TOLERANCE: f32 = 2e-5;

/// What the reference says.
struct Expected {
    cases: Vec<Case>,
    texts: Vec<Text>,
    tensors: HashMap<String, Tensor>,
}

#[derive(Deserialize)]
struct Texts {
    cases: Vec<Case>,
    texts: Vec<Text>,
}

#[derive(Clone, Deserialize)]
struct Case {
    seconds: f64,
    language: Option<String>,
    prompt: Vec<u32>,
    ids: Vec<u32>,
    text: String,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: Vec<u32>,
}

// === impl Expected ===

impl Expected {
    fn read() -> Self {
        let Texts { cases, texts } = serde_json::from_slice(&fixture("expected.json")).unwrap();
        let tensors = candle_core::safetensors::load(folder().join("expected.safetensors"), &Device::Cpu).unwrap();
        Self { cases, texts, tensors }
    }

    /// Row by row, and how long a row is.
    fn numbers(&self, name: &str) -> (Vec<f32>, usize) {
        let tensor = &self.tensors[name];
        (tensor.flatten_all().unwrap().to_vec1().unwrap(), *tensor.dims().last().unwrap())
    }
}

fn folder() -> PathBuf {
    fixtures::folder("voxtral")
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

fn files() -> ModelFiles {
    let mut files = ModelFiles::default();
    for name in FILES {
        files.insert("model", name, Location::Disk(folder().join(name)));
    }
    files
}

/// With one of them in place of its own.
fn files_with(name: &str, content: Vec<u8>) -> ModelFiles {
    let mut files = files();
    files.insert("model", name, Location::Embedded(content.leak()));
    files
}

fn config() -> Config {
    Config::from_json(files().json("model", "config.json").unwrap()).unwrap()
}

fn place(dtype: Precision) -> Placement {
    Placement {
        device: Device::Cpu,
        dtype,
        weights: Backing::Mapped,
        threads: 1,
        max_batch: 1,
        residency: Default::default(),
        references: Default::default(),
        programs: Default::default(),
    }
}

fn net(files: &ModelFiles, dtype: Precision) -> Net {
    Net::load(config(), files, &place(dtype)).unwrap()
}

fn decoding(files: &ModelFiles) -> DecodingConfig {
    DecodingConfig::read(files, &config()).unwrap()
}

fn model(files: &ModelFiles) -> Box<dyn Model> {
    model_of(files, 1)
}

/// That works on so many requests at once.
fn model_of(files: &ModelFiles, max_batch: usize) -> Box<dyn Model> {
    Voxtral.load(files, &Placement { max_batch, ..place(Precision::F32) }).unwrap()
}

/// As in `make.py`: noise whose loudness goes up and down.
fn sound(seconds: f64) -> Pcm {
    let sample = |at: u64| {
        let mixed = (at * 2_654_435_761 + 12_345) % (1 << 32);
        let mixed = ((mixed ^ (mixed >> 15)) * 2_246_822_519) % (1 << 32);
        let (noise, loudness) = ((mixed >> 19) as i64 - 4096, 1 + (at / 1600) as i64 % 6);
        (noise * loudness).div_euclid(6) as f32 / 32_768.0
    };
    Pcm::new((0..(seconds * 16_000.0).round() as u64).map(sample).collect(), 16_000)
}

/// Of a recording that is padded to whole windows.
fn spectrum(config: &Config, sound: &Pcm) -> Spectrum {
    let window = config.frames() * HOP;
    let length = sound.samples().len().div_ceil(window) * window;
    LogMel::new(&MelSpec::whisper(config.audio_config.num_mel_bins)).log_mel_padded(sound.samples(), length)
}

fn windows(config: &Config, sound: &Pcm) -> Vec<Vec<f32>> {
    let spectrum = spectrum(config, sound);
    let count = spectrum.frames() / config.frames();
    (0..count).map(|number| super::row::window(&spectrum, number, config.frames())).collect()
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    let difference = difference(found, expected);
    assert!(difference <= tolerance, "{what}: off by {difference} of the largest number");
}

/// The largest, relative to the largest number that is expected.
#[track_caller]
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    let worst = |most: f32, (a, b): (&f32, &f32)| if (a - b).abs() <= most { most } else { (a - b).abs() };
    found.iter().zip(expected).fold(0.0, worst) / scale
}

/// The fixture's weights, each by its own name or another.
fn renamed(rename: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let bytes = fixture("model.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let named = tensors.tensors().into_iter().filter_map(|(name, view)| Some((rename(&name)?, view)));
    safetensors::serialize(named.collect::<Vec<_>>(), None).unwrap()
}

fn config_json() -> Value {
    serde_json::from_slice(&fixture("config.json")).unwrap()
}
