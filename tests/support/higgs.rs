//! Small Higgs models under the names of the published ones: the random networks of the fixtures, in both layouts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{fixture, hub::Hub};

/// Folders of the language model and of the audio tokenizer, by the name of their layout.
pub const LAYOUTS: [&str; 2] = ["transformers", "boson"];

pub const MODEL: &str = "bosonai/higgs-audio-v2-generation-3B-base";
pub const TOKENIZER: &str = "bosonai/higgs-audio-v2-tokenizer";
pub const LICENCE: &str = "boson-higgs-audio-2-community";

/// A folder for each part.
pub struct Parts {
    pub model: TempDir,
    pub codec: TempDir,
}

// === impl Parts ===

impl Parts {
    pub fn of(layout: &str) -> Self {
        let [model, codec] = folders(layout).map(|from| {
            let to = TempDir::new().unwrap();
            for path in files(&from) {
                fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
            }
            to
        });
        Self { model, codec }
    }

    /// Changes a configuration.
    pub fn change(folder: &TempDir, change: impl FnOnce(&mut Value)) {
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs::write(path, config.to_string()).unwrap();
    }
}

/// Both parts in one folder, each in a folder of its name.
pub fn together(layout: &str) -> TempDir {
    let (all, parts) = (TempDir::new().unwrap(), Parts::of(layout));
    for (name, part) in [("model", &parts.model), ("codec", &parts.codec)] {
        fs::create_dir(all.path().join(name)).unwrap();
        for path in files(part.path()) {
            fs::copy(&path, all.path().join(name).join(path.file_name().unwrap())).unwrap();
        }
    }
    all
}

/// All that is published, on a hub.
pub fn publish(hub: &Hub) {
    for (repo, folder) in [MODEL, TOKENIZER].into_iter().zip(folders("transformers")) {
        for path in files(&folder) {
            let (name, bytes) = (path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
            match name.ends_with("json") {
                true => hub.repo(repo).file(name, bytes),
                false => hub.repo(repo).lfs(name, bytes),
            };
        }
    }
}

/// Of the model and of its audio tokenizer.
fn folders(layout: &str) -> [PathBuf; 2] {
    let codec = if layout == "boson" { "higgs/codec/boson" } else { "higgs/codec" };
    [fixture(&format!("higgs/net/{layout}")), fixture(codec)]
}

/// Those of a model, without what is expected of it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_model = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        path.is_file() && !name.starts_with("expected") && !name.ends_with(".py")
    };
    paths.filter(is_model).collect()
}
