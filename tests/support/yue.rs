//! Small YuE models under the names of the published ones: the random networks of the fixtures.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use super::{Server, ServerBuilder, fixture};

/// The name that tests give it.
pub const MODEL: &str = "small_yue";

/// A folder for each part.
pub struct Parts {
    pub model: TempDir,
    pub stage2: TempDir,
    pub codec: TempDir,
}

// === impl Parts ===

impl Parts {
    pub fn new() -> Self {
        let [model, stage2, codec] = ["net/stage1", "net/stage2", "sound"].map(|part| {
            let to = TempDir::new().unwrap();
            copy(&fixture(&format!("yue/{part}")), to.path());
            to
        });
        Self { model, stage2, codec }
    }

    /// By name, and where it is.
    pub fn folders(&self) -> [(&'static str, &Path); 3] {
        [("model", self.model.path()), ("stage2", self.stage2.path()), ("codec", self.codec.path())]
    }

    pub fn server(&self) -> ServerBuilder {
        let builder = Server::builder().env("LOAD_MODE", "on_demand").env("SCONCE_MODELS__SMALL_YUE__FAMILY", "yue");
        self.folders().into_iter().fold(builder, |builder, (part, folder)| {
            let name = format!("SCONCE_MODELS__SMALL_YUE__PARTS__{}", part.to_uppercase());
            builder.env(&name, &format!("file:{}", folder.display()))
        })
    }

    /// Changes a configuration.
    pub fn change(folder: &TempDir, change: impl FnOnce(&mut Value)) {
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs::write(path, config.to_string()).unwrap();
    }
}

/// All parts in one folder, each in a folder of its name.
pub fn together() -> TempDir {
    let all = TempDir::new().unwrap();
    for (part, from) in [("model", "net/stage1"), ("stage2", "net/stage2"), ("codec", "sound")] {
        let to = all.path().join(part);
        fs::create_dir(&to).unwrap();
        copy(&fixture(&format!("yue/{from}")), &to);
    }
    all
}

/// Those of a model, without what is expected of it, and folders as they are.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name(), entry.path());
        let text = name.to_str().unwrap();
        if path.is_dir() {
            fs::create_dir(to.join(&name)).unwrap();
            copy(&path, &to.join(&name));
        } else if !text.starts_with("expected") && !text.ends_with(".py") {
            fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}
