//! A folder that is read in place.

use std::{fs, io, path::Path};

use super::{StoreError, files::walk, snapshots::Found};

/// The names of its files.
pub(super) fn listing(folder: &Path) -> Result<Vec<String>, StoreError> {
    walk(folder).map_err(|source| error(folder, source))
}

/// One of its files.
pub(super) fn file(folder: &Path, file: &str) -> Result<Found, StoreError> {
    fs::read_dir(folder).map_err(|source| error(folder, source))?;
    let path = folder.join(file);
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(Found { file: file.to_owned(), path, size: meta.len() }),
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(error(folder, source)),
        _ => {
            let source_name = format!("the folder {}", folder.display());
            Err(StoreError::NoFile { source_name, file: file.to_owned() })
        }
    }
}

fn error(folder: &Path, source: io::Error) -> StoreError {
    match folder.is_file() {
        true => StoreError::NoFolder { path: folder.to_owned() },
        false => StoreError::Folder { folder: folder.to_owned(), source },
    }
}
