//! Whispers of any size, with random weights: they say nothing, and load like any other.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use half::f16;
use serde_json::{Value, json};

/// How wide and how deep.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub width: usize,
    pub heads: usize,
    /// Of the encoder, and of the decoder.
    pub layers: usize,
    pub numbers: Numbers,
}

/// What the weights are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Halves.
    F16,
    /// Halves written as singles, as many repositories have them.
    F16AsF32,
    /// Numbers that are no halves.
    F32,
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

/// Every tensor, with its shape.
fn shapes(config: &Value) -> Vec<(String, Vec<usize>)> {
    let number = |field: &str| config[field].as_u64().unwrap() as usize;
    let (width, mut all) = (number("d_model"), Vec::new());
    let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    add("model.encoder.conv1.weight".into(), &[width, number("num_mel_bins"), 3]);
    add("model.encoder.conv2.weight".into(), &[width, width, 3]);
    add("model.encoder.conv1.bias".into(), &[width]);
    add("model.encoder.conv2.bias".into(), &[width]);
    add("model.encoder.embed_positions.weight".into(), &[number("max_source_positions"), width]);
    add("model.decoder.embed_positions.weight".into(), &[number("max_target_positions"), width]);
    add("model.decoder.embed_tokens.weight".into(), &[number("vocab_size"), width]);
    for half in ["encoder", "decoder"] {
        let mut norms = vec![format!("model.{half}.layer_norm")];
        for layer in (0..number(&format!("{half}_layers"))).map(|at| format!("model.{half}.layers.{at}")) {
            for attention in ["self_attn", "encoder_attn"].into_iter().take(if half == "encoder" { 1 } else { 2 }) {
                norms.push(format!("{layer}.{attention}_layer_norm"));
                for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                    add(format!("{layer}.{attention}.{projection}.weight"), &[width, width]);
                    if projection != "k_proj" {
                        add(format!("{layer}.{attention}.{projection}.bias"), &[width]);
                    }
                }
            }
            norms.push(format!("{layer}.final_layer_norm"));
            for (name, shape) in [("fc1", [4 * width, width]), ("fc2", [width, 4 * width])] {
                add(format!("{layer}.{name}.weight"), &shape);
                add(format!("{layer}.{name}.bias"), &shape[..1]);
            }
        }
        for norm in norms {
            add(format!("{norm}.weight"), &[width]);
            add(format!("{norm}.bias"), &[width]);
        }
    }
    all
}

/// The weights that a `config.json` is about, written from front to back: the file may be larger than memory is to be.
pub fn weights(path: &Path, config: &Value, numbers: Numbers) {
    let (dtype, bytes) = if numbers == Numbers::F16 { ("F16", 2) } else { ("F32", 4) };
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in shapes(config) {
        let begin = end;
        end += shape.iter().product::<usize>() * bytes;
        header.insert(name, json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}));
    }
    let mut header = Value::Object(header).to_string();
    // Not by a width in a format: that ends at 65535, and a large model's header does not.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let block = block(numbers);
    for at in (0..end).step_by(block.len()) {
        file.write_all(&block[..block.len().min(end - at)]).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
}

/// A mebibyte of numbers around zero.
fn block(numbers: Numbers) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * 0.03
    };
    let half = |number: f32| f16::from_f32(number);
    match numbers {
        Numbers::F16 => (0..1 << 19).flat_map(|_| half(next()).to_le_bytes()).collect(),
        Numbers::F16AsF32 => (0..1 << 18).flat_map(|_| half(next()).to_f32().to_le_bytes()).collect(),
        Numbers::F32 => (0..1 << 18).flat_map(|_| next().to_le_bytes()).collect(),
    }
}
