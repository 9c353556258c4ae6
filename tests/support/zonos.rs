//! Small Zonos models under the names of the published ones: the random networks of the fixtures.

use std::{fs, path::Path};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use tempfile::TempDir;

use super::{fixture, hub::Hub};

/// The language models, by the name of their kind.
pub const KINDS: [&str; 2] = ["transformer", "hybrid"];

/// What the speaker network is made of.
pub const SPEAKER_FILES: [&str; 2] = ["ResNet293_SimAM_ASP_base.pt", "ResNet293_SimAM_ASP_base_LDA-128.pt"];

/// A folder for each part.
pub struct Parts {
    pub model: TempDir,
    pub codec: TempDir,
    pub speaker: TempDir,
}

// === impl Parts ===

impl Parts {
    pub fn of(kind: &str) -> Self {
        Self {
            model: copied(&format!("net/{kind}"), &["config.json", "model.safetensors"]),
            codec: copied("dac", &["config.json", "model.safetensors"]),
            speaker: copied("speaker", &SPEAKER_FILES),
        }
    }

    /// Changes the configuration of the language model.
    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let path = self.model.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs::write(path, config.to_string()).unwrap();
    }
}

/// All parts in one folder, each in a folder of its name.
pub fn together(kind: &str) -> TempDir {
    let (all, parts) = (TempDir::new().unwrap(), Parts::of(kind));
    for (name, part) in [("model", &parts.model), ("codec", &parts.codec), ("speaker", &parts.speaker)] {
        fs::create_dir(all.path().join(name)).unwrap();
        for file in fs::read_dir(part.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), all.path().join(name).join(file.file_name())).unwrap();
        }
    }
    all
}

/// All that is published, on a hub.
pub fn publish(hub: &Hub) {
    for kind in KINDS {
        put(hub, &format!("Zyphra/Zonos-v0.1-{kind}"), &format!("net/{kind}"), &["config.json", "model.safetensors"]);
    }
    publish_parts(hub);
}

/// The same, but of a transformer that is some megabytes large: so much that it can be told from all else in a process.
pub fn publish_large(hub: &Hub, megabytes: usize) {
    put(hub, "Zyphra/Zonos-v0.1-hybrid", "net/hybrid", &["config.json", "model.safetensors"]);
    let large = hub.repo("Zyphra/Zonos-v0.1-transformer");
    let large = large.file("config.json", fs::read(fixture("zonos/net/transformer/config.json")).unwrap());
    large.lfs("model.safetensors", widened(&fixture("zonos/net/transformer/model.safetensors"), megabytes));
    publish_parts(hub);
}

/// A transformer whose layers are as broad between their two matrices as so many megabytes allow. Nothing comes of it.
fn widened(file: &Path, megabytes: usize) -> Vec<u8> {
    let mut tensors = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let layers = tensors.keys().filter(|name| name.ends_with(".fc1.weight")).count();
    for (name, tensor) in &mut tensors {
        let zeros = |shape: (usize, usize)| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let inner = |width: usize| (megabytes << 20) / (3 * size_of::<f32>() * width * layers);
        let dims = tensor.dims().to_vec();
        if name.ends_with(".fc1.weight") {
            *tensor = zeros((2 * inner(dims[1]), dims[1]));
        } else if name.ends_with(".fc2.weight") {
            *tensor = zeros((dims[0], inner(dims[0])));
        }
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    fs::read(path).unwrap()
}

fn publish_parts(hub: &Hub) {
    put(hub, "descript/dac_44khz", "dac", &["config.json", "model.safetensors"]);
    put(hub, "Zyphra/Zonos-v0.1-speaker-embedding", "speaker", &SPEAKER_FILES);
}

fn put(hub: &Hub, repo: &str, folder: &str, names: &[&str]) {
    for name in names {
        let bytes = fs::read(fixture(&format!("zonos/{folder}/{name}"))).unwrap();
        match Path::new(name).extension().is_some_and(|ending| ending == "json") {
            true => hub.repo(repo).file(name, bytes),
            false => hub.repo(repo).lfs(name, bytes),
        };
    }
}

fn copied(folder: &str, names: &[&str]) -> TempDir {
    let to = TempDir::new().unwrap();
    for name in names {
        fs::copy(fixture(&format!("zonos/{folder}/{name}")), to.path().join(name)).unwrap();
    }
    to
}
