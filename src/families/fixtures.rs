//! Where the fixtures of tests lie.

use std::path::{Path, PathBuf};

use crate::model::Programs;

/// The folder of fixtures `of` a family, or of a part of it: where `SCONCE_FIXTURES` names the folder above and it is there,
/// else that of the repository.
pub(super) fn folder(of: &str) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller which fixtures to read")]
    let elsewhere = std::env::var_os("SCONCE_FIXTURES").map(|folder| PathBuf::from(folder).join(of));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(of);
    elsewhere.filter(|folder| folder.is_dir()).unwrap_or(own)
}

/// Where espeak-ng and ONNX Runtime are on this machine: that of the interpreter that `TEST_PYTHON` names, or of the path.
/// A test that needs one that is not there says so and ends.
pub(super) fn programs() -> Programs {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller where others' programs are")]
    let (python, path) = (std::env::var_os("TEST_PYTHON"), std::env::var_os("PATH").unwrap_or_default());
    let python = python.and_then(|python| Some(Path::new(&python).parent()?.to_owned()));
    Programs { path: python.into_iter().chain(std::env::split_paths(&path)).collect(), ..Programs::default() }
}
