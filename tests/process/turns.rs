//! Stages of a song that take turns: how much memory that saves.

use std::{collections::HashMap, fs, path::Path};

use candle_core::{Device, Tensor, safetensors};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    program::{Program, sconce},
    support::yue::{MODEL, Parts},
};

/// Tokens of a stage: of most of them nobody ever hears.
const VOCABULARY: usize = 250_000;

/// Makes weights of tens of megabytes of those of a stage. How many bytes.
fn widened(folder: &Path) -> u64 {
    let mut weights: HashMap<String, Tensor> = HashMap::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".safetensors") {
            weights.extend(safetensors::load(&path, &Device::Cpu).unwrap());
        }
        if name.starts_with("model") {
            fs::remove_file(&path).unwrap();
        }
    }
    for name in ["model.embed_tokens.weight", "lm_head.weight"] {
        let weight = &weights[name];
        let more = VOCABULARY - weight.dim(0).unwrap();
        weights.insert(name.to_owned(), weight.pad_with_zeros(0, 0, more).unwrap());
    }
    let path = folder.join("model.safetensors");
    safetensors::save(&weights, &path).unwrap();
    fs::metadata(path).unwrap().len()
}

/// The most that a process ever held, in bytes.
fn peak(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// A song by a server of its own with so much memory for models: its sound, how the stages share it, what they are counted with,
/// and the most that the process held.
async fn sung(parts: &Parts, budget: &str) -> (Value, Value, u64, u64) {
    let cache = TempDir::new().unwrap();
    let mut command = sconce(&cache);
    command.env("PORT", "0").env("LOAD_MODE", "on_demand").env("LOG_LEVEL", "warn,sconce::app=info");
    command.env("SCONCE_MEMORY__BUDGET", budget).env("SCONCE_RUNTIME__MAX_BATCH", "1");
    command.env("SCONCE_MODELS__SMALL_YUE__FAMILY", "yue");
    for (part, folder) in parts.folders() {
        let name = format!("SCONCE_MODELS__SMALL_YUE__PARTS__{}", part.to_uppercase());
        command.env(name, format!("file:{}", folder.display()));
    }
    let program = Program::start(&mut command);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let song = json!({"model": MODEL, "text": "[verse]\nla\n\n[chorus]\nlo\n", "instructions": "pop", "seed": 7, "wait": 60,
        "options": {"max_new_tokens": 24}});
    let answer = client.post(program.url("/predict")).json(&song).send().await.unwrap();
    let (status, answer) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 200, "{answer}");
    let models = client.get(program.url("/models/status")).send().await.unwrap().json::<Value>().await.unwrap();
    let model = &models["models"][MODEL];
    let counted = model["footprint_bytes"].as_u64().unwrap();
    (answer["audio"]["content"].clone(), model["residency"].clone(), counted, peak(&program))
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn stages_in_turns_never_hold_the_memory_of_both() {
    let parts = Parts::new();
    let smaller = widened(parts.model.path()).min(widened(parts.stage2.path()));
    let (whole, way, together, most) = sung(&parts, "none").await;
    assert_eq!(way, "together");
    let (again, way, in_turns, less) = sung(&parts, &(together - 1).to_string()).await;
    assert_eq!(way, "in_turns");
    assert!(again == whole, "the same sound");
    assert!(in_turns + smaller <= together, "{in_turns} and {smaller} bytes beside {together}");
    assert!(less + smaller * 3 / 4 < most, "{less} bytes at most, where it was {most} with both of {smaller} at least");
}
