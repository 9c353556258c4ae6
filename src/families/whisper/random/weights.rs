//! The weights of a Whisper, made up.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use half::f16;
use serde_json::{Value, json};

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

/// Every tensor, with its shape.
pub(super) fn shapes(config: &Value) -> Vec<(String, Vec<usize>)> {
    let number = |field: &str| config[field].as_u64().unwrap_or_default() as usize;
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

/// The weights that a `config.json` is about, written from front to back: the file may be larger than memory is to be. Equal
/// seeds write alike.
pub fn write_weights(path: &Path, config: &Value, numbers: Numbers, seed: u64) -> io::Result<()> {
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
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let block = block(numbers, seed);
    for at in (0..end).step_by(block.len()) {
        file.write_all(&block[..block.len().min(end - at)])?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A mebibyte of numbers around zero.
fn block(numbers: Numbers, seed: u64) -> Vec<u8> {
    let mut state = seed;
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
