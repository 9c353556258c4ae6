//! Where the fixtures of tests lie.

use std::path::{Path, PathBuf};

/// The folder of fixtures `of` a part of a model: where `SCONCE_FIXTURES` names the folder above and it is there, else that
/// of the repository.
pub fn folder(of: &str) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a test is told by its caller which fixtures to read")]
    let elsewhere = std::env::var_os("SCONCE_FIXTURES").map(|folder| PathBuf::from(folder).join(of));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(of);
    elsewhere.filter(|folder| folder.is_dir()).unwrap_or(own)
}
