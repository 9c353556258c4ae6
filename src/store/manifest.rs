//! What of a commit is whole on this machine. An entry is written after its file was verified and put in place: a file
//! without one is not there.

use std::{collections::BTreeMap, io, path::Path};

use serde::{Deserialize, Serialize};

use super::files::write_whole;

/// Changes when a reader of the old form would misread the new one.
const VERSION: u32 = 1;

/// The manifest of one commit of one repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    pub repo: String,
    pub commit: String,
    /// Every file of the commit, so that a family can choose without asking the hub again.
    pub listing: Vec<String>,
    /// Those that are here.
    pub files: BTreeMap<String, Entry>,
}

/// One verified file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub size: u64,
    pub sha256: String,
}

// === impl Manifest ===

impl Manifest {
    pub(super) fn new(repo: &str, commit: &str, listing: Vec<String>) -> Self {
        Self { version: VERSION, repo: repo.to_owned(), commit: commit.to_owned(), listing, files: BTreeMap::new() }
    }

    /// `None` if there is none. One that cannot be read counts as none: its files are verified again.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(manifest) if manifest.version == VERSION => Some(manifest),
            Ok(manifest) => {
                tracing::warn!(path = %path.display(), version = manifest.version, "a manifest of another version");
                None
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a manifest that cannot be read");
                None
            }
        }
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        write_whole(path, &serde_json::to_vec_pretty(self)?)
    }
}
