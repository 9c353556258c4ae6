//! Where the fixtures of tests lie, and what the tests of several families ask.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use crate::model::{Knob, Programs};

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

/// What is told of the options of a family is what `T`, which reads them, takes: no more and, but for `aliases`, no less.
#[track_caller]
pub(super) fn assert_told<T: DeserializeOwned>(knobs: &[Knob], aliases: &[&str]) {
    let refused = serde_json::from_value::<T>(serde_json::json!({"": 0})).err().expect("unknown ones are refused");
    let refused = refused.to_string();
    let taken: BTreeSet<&str> = refused.split('`').skip(3).step_by(2).filter(|name| !aliases.contains(name)).collect();
    assert_eq!(knobs.iter().map(|knob| knob.name).collect::<BTreeSet<_>>(), taken);
}
