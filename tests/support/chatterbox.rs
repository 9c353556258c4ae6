//! A small Chatterbox under the names of the published one: the random networks of the fixtures, put together, with tables as
//! large as all of them have to agree on.

use std::{collections::BTreeMap, fs, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tempfile::TempDir;

use super::checkout;

/// Tokens of speech: three to the power of the numbers that the tokenizer rounds.
const CODES: usize = 6561;

/// A tensor: type, sizes, bytes.
type Stored = (Dtype, Vec<usize>, Vec<u8>);
type Tensors = BTreeMap<String, Stored>;

/// A folder with every file of the English model, its own voice among them.
pub fn english() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut s3gen = Tensors::new();
    for part in ["reference/s3gen", "flow/model", "hift/model"] {
        s3gen.extend(fixture(part));
    }
    random(&mut s3gen, "flow.input_embedding.weight", &[CODES, 24], 0.3);
    random(&mut s3gen, "flow.spk_embed_affine_layer.weight", &[80, 24], 0.2);
    write(folder.path(), "s3gen.safetensors", &s3gen);
    let mut t3 = fixture("t3/llama/model");
    let width = t3["text_emb.weight"].1[1];
    let tables =
        [("text_emb", 400), ("text_pos_emb.emb", 200), ("speech_emb", CODES + 3), ("speech_pos_emb.emb", 1010)];
    for (table, rows) in tables {
        random(&mut t3, &format!("{table}.weight"), &[rows, width], 0.5);
    }
    random(&mut t3, "speech_head.weight", &[CODES + 3, width], 0.3);
    t3.retain(|name, _| !name.starts_with("text_head"));
    write(folder.path(), "t3_cfg.safetensors", &t3);
    write(folder.path(), "ve.safetensors", &fixture("reference/ve"));
    write(folder.path(), "conds.safetensors", &own_voice());
    let tokenizer = checkout("tests/fixtures/chatterbox/text/tokenizer.json");
    fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    folder
}

/// Of the same folder only what a model that converts has.
pub fn keep_conversion(folder: &TempDir) {
    for file in ["t3_cfg.safetensors", "ve.safetensors", "tokenizer.json"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
}

fn own_voice() -> Tensors {
    let mut voice = Tensors::new();
    random(&mut voice, "t3.speaker_emb", &[1, 24], 0.3);
    random(&mut voice, "gen.prompt_feat", &[1, 40, 80], 1.0);
    random(&mut voice, "gen.embedding", &[1, 24], 1.0);
    for (name, count) in [("t3.cond_prompt_speech_tokens", 12), ("gen.prompt_token", 20)] {
        let ids = (0..count as i64).flat_map(|at| (at * 379 % CODES as i64).to_le_bytes()).collect();
        voice.insert(name.to_owned(), (Dtype::I64, vec![1, count], ids));
    }
    voice
}

/// Numbers without a pattern, between `-most` and `most`.
fn random(tensors: &mut Tensors, name: &str, shape: &[usize], most: f32) {
    let number = |at: usize| {
        let mixed = (at as u32).wrapping_mul(2_654_435_761).wrapping_add(name.len() as u32 * 12_345);
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519);
        most * ((mixed >> 8) as f32 / (1 << 23) as f32 - 1.0)
    };
    let bytes = (0..shape.iter().product()).flat_map(|at| number(at).to_le_bytes()).collect();
    tensors.insert(name.to_owned(), (Dtype::F32, shape.to_vec(), bytes));
}

fn fixture(name: &str) -> Tensors {
    let file = fs::read(checkout(&format!("tests/fixtures/chatterbox/{name}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let stored = |tensor: TensorView<'_>| (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec());
    tensors.tensors().into_iter().map(|(name, tensor)| (name, stored(tensor))).collect()
}

fn write(folder: &Path, file: &str, tensors: &Tensors) {
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, &folder.join(file)).unwrap();
}
