//! ONNX Runtime, where this machine has it, and tiny voices that it computes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use super::fixture;

/// The folder of PyPI's packages that holds it, of the interpreter that `TEST_PYTHON` names; without it a test that needs it
/// says so and ends. `.ci/run` installs it.
#[expect(clippy::disallowed_methods, reason = "says where the library is, not how the server behaves")]
pub fn library() -> Option<String> {
    let python = std::env::var_os("TEST_PYTHON").map(PathBuf::from);
    let lib = python.and_then(|python| Some(python.parent()?.parent()?.join("lib")));
    let pythons = lib.into_iter().flat_map(|lib| fs::read_dir(lib).into_iter().flatten().flatten());
    let packages = pythons.map(|python| python.path().join("site-packages"));
    let found = packages.filter(|packages| packages.join("onnxruntime/capi").is_dir()).max();
    if found.is_none() {
        println!("skipped: TEST_PYTHON names no interpreter that has the package onnxruntime");
    }
    found.map(|packages| packages.display().to_string())
}

/// A folder with files of a fixture, each under a name of its own.
pub fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (from, to) in files {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture(from), to).unwrap();
    }
    folder
}

/// Changes a JSON file.
pub fn change(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}
