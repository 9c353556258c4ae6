//! Small Zonos models under the names of the published ones: the random networks of the fixtures.

use std::{fs, path::Path};

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

/// All that is published, on a hub.
pub fn publish(hub: &Hub) {
    for kind in KINDS {
        put(hub, &format!("Zyphra/Zonos-v0.1-{kind}"), &format!("net/{kind}"), &["config.json", "model.safetensors"]);
    }
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
