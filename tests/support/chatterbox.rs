//! Small Chatterboxes under the names of the published ones: the random networks of the fixtures, put together, with tables as
//! large as all of them have to agree on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tempfile::TempDir;

use super::{fixture, torch};

/// Tokens of speech: three to the power of the numbers that the tokenizer rounds.
const CODES: usize = 6561;
/// The layer that makes a flow one of two steps.
const MEAN_FLOW: &str = "time_embed_mixer";
/// The layer whose numbers are an x-vector.
const X_VECTOR: &str = "speaker_encoder.xvector.dense.linear.weight";

/// A tensor: type, sizes, bytes.
type Stored = (Dtype, Vec<usize>, Vec<u8>);
type Tensors = BTreeMap<String, Stored>;

/// A folder with every file of the English model, its own voice among them.
pub fn english() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "s3gen.safetensors", &s3gen(false));
    write(folder.path(), "t3_cfg.safetensors", &llama(400));
    write(folder.path(), "ve.safetensors", &part("reference/ve"));
    write(folder.path(), "conds.safetensors", &own_voice(&s3gen(false)));
    copy("text/tokenizer.json", folder.path(), "tokenizer.json");
    folder
}

/// The model of many languages, in files of PyTorch where it is published so. Its own voice is what the reference kept of
/// the recording [`chain`].
pub fn multilingual() -> TempDir {
    let folder = TempDir::new().unwrap();
    write_torch(folder.path(), "s3gen.pt", &s3gen(false), false);
    write_torch(folder.path(), "ve.pt", &part("reference/ve"), false);
    write_torch(folder.path(), "t3_mtl23ls_v2.pt", &llama(500), true);
    copy("chain/conds.pt", folder.path(), "conds.pt");
    copy("text/multilingual.json", folder.path(), "grapheme_mtl_merged_expanded_v1.json");
    copy("text/cangjie.json", folder.path(), "Cangjie5_TC.json");
    folder
}

/// Turbo: a GPT-2, and mean flow.
pub fn turbo() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "s3gen_meanflow.safetensors", &s3gen(true));
    let mut t3 = part("t3/gpt2/model");
    let width = t3["speech_emb.weight"].1[1];
    tables(&mut t3, width, &[("text_emb", 400), ("speech_emb", CODES + 3), ("tfmr.wpe", 600)]);
    random(&mut t3, "speech_head.bias", &[CODES + 3], 0.3);
    write(folder.path(), "t3_turbo_v1.safetensors", &t3);
    write(folder.path(), "ve.safetensors", &part("reference/ve"));
    write(folder.path(), "conds.safetensors", &own_voice(&s3gen(false)));
    for file in ["vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"] {
        copy(&format!("text/turbo/{file}"), folder.path(), file);
    }
    folder
}

/// Of the folder of the English model only what a model that converts has.
pub fn keep_conversion(folder: &TempDir) {
    for file in ["t3_cfg.safetensors", "ve.safetensors", "tokenizer.json"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
}

/// A file of the fixture of the whole model.
pub fn chain(name: &str) -> Vec<u8> {
    fs::read(file(&format!("chain/{name}"))).unwrap()
}

/// A folder with a network that marks sounds, as the user of a published one has it.
pub fn watermark() -> TempDir {
    let folder = TempDir::new().unwrap();
    let file = "perth_net_000001.pth.tar";
    copy(&format!("watermark/{file}"), folder.path(), file);
    fs::write(folder.path().join("hparams.yaml"), "n_fft: 2048\n").unwrap();
    folder
}

fn s3gen(mean_flow: bool) -> Tensors {
    let mut tensors = Tensors::new();
    for name in ["reference/s3gen", "flow/model", "hift/model"] {
        tensors.extend(part(name));
    }
    tensors.retain(|name, _| mean_flow || !name.contains(MEAN_FLOW));
    let width = tensors["flow.input_embedding.weight"].1[1];
    let embedding = tensors[X_VECTOR].1[0];
    random(&mut tensors, "flow.input_embedding.weight", &[CODES, width], 0.3);
    random(&mut tensors, "flow.spk_embed_affine_layer.weight", &[80, embedding], 0.2);
    tensors
}

/// The T3 of the English and the multilingual model, which reads so many tokens of text.
fn llama(text: usize) -> Tensors {
    let mut t3 = part("t3/llama/model");
    let width = t3["text_emb.weight"].1[1];
    let of_speech = [("speech_emb", CODES + 3), ("speech_pos_emb.emb", 1010)];
    tables(&mut t3, width, &[("text_emb", text), ("text_pos_emb.emb", 200), of_speech[0], of_speech[1]]);
    t3
}

/// Tables of so many rows, and a head for every code.
fn tables(t3: &mut Tensors, width: usize, tables: &[(&str, usize)]) {
    for (table, rows) in tables {
        random(t3, &format!("{table}.weight"), &[*rows, width], 0.5);
    }
    random(t3, "speech_head.weight", &[CODES + 3, width], 0.3);
    t3.retain(|name, _| !name.starts_with("text_head"));
}

fn own_voice(s3gen: &Tensors) -> Tensors {
    let mut voice = Tensors::new();
    random(&mut voice, "t3.speaker_emb", &[1, part("reference/ve")["proj.weight"].1[0]], 0.3);
    random(&mut voice, "gen.prompt_feat", &[1, 40, 80], 1.0);
    random(&mut voice, "gen.embedding", &[1, s3gen[X_VECTOR].1[0]], 1.0);
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

fn file(name: &str) -> PathBuf {
    fixture(&format!("chatterbox/{name}"))
}

fn part(name: &str) -> Tensors {
    let file = fs::read(file(&format!("{name}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let stored = |tensor: TensorView<'_>| (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec());
    tensors.tensors().into_iter().map(|(name, tensor)| (name, stored(tensor))).collect()
}

fn copy(fixture: &str, folder: &Path, name: &str) {
    fs::copy(file(fixture), folder.join(name)).unwrap();
}

fn write(folder: &Path, file: &str, tensors: &Tensors) {
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, &folder.join(file)).unwrap();
}

fn write_torch(folder: &Path, file: &str, tensors: &Tensors, wrapped: bool) {
    let named = tensors.iter().map(|(name, (dtype, shape, bytes))| (name.as_str(), *dtype, &shape[..], &bytes[..]));
    fs::write(folder.join(file), torch::archive(named, wrapped)).unwrap();
}
