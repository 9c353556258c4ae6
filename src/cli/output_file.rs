//! A file that is there whole or not at all.

use std::{
    fs::{self, Permissions},
    io::{self, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// A file that takes its place when it is whole.
pub(super) struct OutputFile {
    pub file: tempfile::NamedTempFile,
    /// Where it will be.
    pub path: PathBuf,
}

// === impl OutputFile ===

impl OutputFile {
    pub fn beside(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("{} cannot be written", path.display());
        anyhow::ensure!(!path.is_dir(), "{}: it is a folder", cannot());
        // A link stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As a shell would make it, not for its owner alone.
        let open = Permissions::from_mode(0o666);
        let file = tempfile::Builder::new().prefix(".sconce-").permissions(open).tempfile_in(folder);
        Ok(Self { file: file.map_err(plain).with_context(cannot)?, path })
    }

    /// Puts `head` over the first bytes.
    pub fn publish(mut self, head: Option<Vec<u8>>) -> anyhow::Result<()> {
        let cannot = || format!("{} cannot be written", self.path.display());
        if let Some(head) = head {
            let file = self.file.as_file_mut();
            file.rewind().and_then(|()| file.write_all(&head)).with_context(cannot)?;
        }
        self.file.persist(&self.path).map_err(|error| error.error).with_context(cannot).map(drop)
    }
}

/// Without the path of the temporary file.
fn plain(error: io::Error) -> io::Error {
    error.raw_os_error().map_or(error, io::Error::from_raw_os_error)
}

/// A pipe or a device, which no file may take the place of.
pub(super) fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
}
