//! The files of a model, wherever they lie.

use std::{collections::BTreeMap, fs::File, ops::Deref, path::PathBuf};

use super::LoadError;

/// The files of every part of a model, complete and verified. Made by `store`, read by families.
#[derive(Clone, Debug, Default)]
pub struct ModelFiles {
    parts: BTreeMap<String, BTreeMap<String, Location>>,
}

/// Where one file lies.
#[derive(Clone, Debug)]
pub enum Location {
    Disk(PathBuf),
    /// Inside this program.
    Embedded(&'static [u8]),
}

/// The bytes of a file: mapped from disk, or a part of this program.
pub enum FileBytes {
    Mapped(memmap2::Mmap),
    Embedded(&'static [u8]),
}

// === impl ModelFiles ===

impl ModelFiles {
    pub fn insert(&mut self, part: &str, file: &str, location: Location) {
        self.parts.entry(part.to_owned()).or_default().insert(file.to_owned(), location);
    }

    /// The names of a part's files, relative to its repository.
    pub fn names(&self, part: &str) -> impl Iterator<Item = &str> {
        self.parts.get(part).into_iter().flat_map(|files| files.keys().map(String::as_str))
    }

    /// Every file: part, name, location.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Location)> {
        self.parts.iter().flat_map(|(part, files)| {
            files.iter().map(move |(name, location)| (part.as_str(), name.as_str(), location))
        })
    }

    pub fn has(&self, part: &str, file: &str) -> bool {
        self.parts.get(part).is_some_and(|files| files.contains_key(file))
    }

    /// The part that holds a file, where no two parts of a model have one of that name.
    pub fn part_with(&self, file: &str) -> Result<&str, LoadError> {
        let part = self.parts.iter().find(|(_, files)| files.contains_key(file));
        part.map(|(part, _)| part.as_str()).ok_or_else(|| LoadError::Missing(file.to_owned()))
    }

    pub fn open(&self, part: &str, file: &str) -> Result<FileBytes, LoadError> {
        let location = self.parts.get(part).and_then(|files| files.get(file));
        location.ok_or_else(|| LoadError::Missing(file.to_owned()))?.open(file)
    }

    /// A JSON file, parsed into `T`.
    pub fn json<T: serde::de::DeserializeOwned>(&self, part: &str, file: &str) -> Result<T, LoadError> {
        let bytes = self.open(part, file)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| LoadError::Malformed { file: file.to_owned(), reason: error.to_string() })
    }

    /// [`Self::json`] for a file that may be absent.
    pub fn optional_json<T: serde::de::DeserializeOwned>(
        &self,
        part: &str,
        file: &str,
    ) -> Result<Option<T>, LoadError> {
        if self.has(part, file) { self.json(part, file).map(Some) } else { Ok(None) }
    }
}

// === impl Location ===

impl Location {
    fn open(&self, file: &str) -> Result<FileBytes, LoadError> {
        match self {
            Self::Embedded(bytes) => Ok(FileBytes::Embedded(bytes)),
            Self::Disk(path) => {
                let map = || unsafe {
                    // SAFETY: files in the store are published by rename and never written again.
                    memmap2::Mmap::map(&File::open(path)?)
                };
                map().map(FileBytes::Mapped).map_err(|source| LoadError::Read { file: file.to_owned(), source })
            }
        }
    }
}

// === impl FileBytes ===

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Embedded(bytes) => bytes,
        }
    }
}
