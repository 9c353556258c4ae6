//! The entries of a file, as views of it.

use std::{collections::BTreeMap, io::Cursor};

use bytes::Bytes;
use zip::{CompressionMethod, ZipArchive};

use super::error::TorchError;

/// More entries than any model has storages.
const MOST_ENTRIES: usize = 1 << 17;

/// Bytes of the pickle: a tensor takes about 200.
const MOST_PICKLE: usize = 4 << 20;

/// Where the pickle lies in its folder.
const PICKLE: &str = "data.pkl";

/// Entries by name, without the folder that all of them lie in.
pub struct Archive {
    entries: BTreeMap<String, Bytes>,
}

// === impl Archive ===

impl Archive {
    pub fn open(bytes: &Bytes) -> Result<Self, TorchError> {
        let mut zip = ZipArchive::new(Cursor::new(&bytes[..]))?;
        if zip.len() > MOST_ENTRIES {
            return Err(TorchError::TooMuch { what: "number of entries", most: MOST_ENTRIES });
        }
        let entries = (0..zip.len()).map(|at| entry(&mut zip, at, bytes)).collect::<Result<_, _>>()?;
        let archive = Self { entries };
        match archive.entries.get("byteorder") {
            Some(order) if order[..] != b"little"[..] => Err(TorchError::BigEndian),
            _ => Ok(archive),
        }
    }

    pub fn pickle(&self) -> Result<Bytes, TorchError> {
        let pickle = self.get(PICKLE)?;
        if pickle.len() > MOST_PICKLE {
            return Err(TorchError::TooMuch { what: "pickle, in bytes,", most: MOST_PICKLE });
        }
        Ok(pickle)
    }

    /// The numbers of a storage, row by row.
    pub fn storage(&self, key: &str) -> Result<Bytes, TorchError> {
        self.get(&format!("data/{key}"))
    }

    fn get(&self, name: &str) -> Result<Bytes, TorchError> {
        self.entries.get(name).cloned().ok_or_else(|| TorchError::NoEntry(name.to_owned()))
    }
}

fn entry(zip: &mut ZipArchive<Cursor<&[u8]>>, at: usize, bytes: &Bytes) -> Result<(String, Bytes), TorchError> {
    let entry = zip.by_index_raw(at)?;
    let path = entry.name()?.into_owned();
    let as_it_is = entry.compression() == CompressionMethod::Stored && !entry.encrypted();
    let range = || {
        let start = usize::try_from(entry.data_start()?).ok()?;
        let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
        (as_it_is && end <= bytes.len()).then_some(start..end)
    };
    let Some(range) = range() else { return Err(TorchError::Entry(path)) };
    let name = path.split_once('/').map_or(path.as_str(), |(_folder, name)| name);
    Ok((name.to_owned(), bytes.slice(range)))
}
