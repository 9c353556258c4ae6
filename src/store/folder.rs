//! A folder that is read in place.

use std::{fs, io, path::Path};

use super::{StoreError, layout::walk, shelf::Found};

/// The names of its files.
pub(super) fn listing(folder: &Path) -> Result<Vec<String>, StoreError> {
    walk(folder).map_err(|source| trouble(folder, source))
}

/// One of its files.
pub(super) fn file(folder: &Path, file: &str) -> Result<Found, StoreError> {
    fs::read_dir(folder).map_err(|source| trouble(folder, source))?;
    let path = folder.join(file);
    match fs::metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(Found { file: file.to_owned(), path, size: meta.len() }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(trouble(folder, error)),
        _ => {
            let source_name = format!("the folder {}", folder.display());
            Err(StoreError::NoFile { source_name, file: file.to_owned() })
        }
    }
}

fn trouble(folder: &Path, source: io::Error) -> StoreError {
    StoreError::Folder { folder: folder.to_owned(), source }
}
