//! The files of a model, wherever they lie.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use memmap2::{Mmap, MmapMut};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{Backing, LoadError, mapped::Mapped};

/// Bytes of a large file that one thread reads at a time.
const PIECE: usize = 4 << 20;

/// The files of every part of a model, complete and verified. Made by `store`, read by families.
#[derive(Clone, Debug, Default)]
pub struct ModelFiles {
    parts: BTreeMap<String, BTreeMap<String, Location>>,
    /// Part → the folder for what is computed of its files.
    derived: BTreeMap<String, PathBuf>,
    /// Path → what is in that file, in memory.
    held: Arc<BTreeMap<PathBuf, Held>>,
}

/// A file that is held in memory.
#[derive(Debug)]
struct Held {
    content: Bytes,
    /// What tells it from others in the same place.
    identity: String,
}

/// Where one file lies.
#[derive(Clone, Debug)]
pub enum Location {
    Disk(PathBuf),
    /// Inside this program.
    Embedded(&'static [u8]),
    /// Still where it comes from: what it begins with, which may be nothing, and how many bytes it has. Enough to weigh a
    /// model before it is fetched, never to load one.
    Ahead {
        beginning: Bytes,
        size: u64,
    },
}

// === impl ModelFiles ===

impl ModelFiles {
    pub fn insert(&mut self, part: &str, file: &str, location: Location) {
        self.parts.entry(part.to_owned()).or_default().insert(file.to_owned(), location);
    }

    /// What a family computes of a part may be kept in this folder, which need not be there.
    pub fn derive_in(&mut self, part: &str, folder: PathBuf) {
        self.derived.insert(part.to_owned(), folder);
    }

    /// The file of that name that is computed of a part's files, and what is in it, mapped, if it is there. It is written beside
    /// and renamed, never changed. `None`: nothing may be kept.
    pub fn derived(&self, part: &str, name: &str) -> Option<(PathBuf, Option<Bytes>)> {
        let path = self.derived.get(part)?.join(name);
        let content = Mapped::open(&path).ok().map(|mapped| {
            #[cfg(target_os = "linux")]
            // Where the system has larger pages for files, a step that reads all of it takes an eighth less.
            let _ = mapped.map().advise(memmap2::Advice::HugePage);
            Bytes::from_owner(mapped)
        });
        Some((path, content))
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

    /// Whether there are files of a part, by which a family tells its layouts apart.
    pub fn has_part(&self, part: &str) -> bool {
        self.parts.contains_key(part)
    }

    /// What tells these files of a part from others in the same place, also in another process, in hexadecimal. It is
    /// cheap: of a file on a disk it knows the path, the length and the time of the last change, not the content.
    pub fn fingerprint(&self, part: &str) -> Result<String, LoadError> {
        self.fingerprint_of(part, self.names(part))
    }

    /// The same of some of them.
    pub fn fingerprint_of<'a>(
        &self,
        part: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, LoadError> {
        let mut all = Sha256::new();
        for name in names {
            let location = self.location(part, name)?;
            let said = match location {
                Location::Embedded(bytes) => hex::encode(Sha256::digest(bytes)),
                Location::Ahead { size, .. } => format!("{size} to come"),
                Location::Disk(path) => match self.held.get(path) {
                    Some(held) => held.identity.clone(),
                    None => identity(path).map_err(|source| LoadError::Read { file: name.to_owned(), source })?,
                },
            };
            all.update(format!("{name}\n{said}\n"));
        }
        Ok(hex::encode(all.finalize()))
    }

    /// The same files, read into memory and held there, as far as the system lets this process hold them. They are read from
    /// there alone.
    pub fn held(&self, backing: Backing) -> Result<Self, LoadError> {
        let mut held = BTreeMap::new();
        for (_, name, location) in self.iter() {
            let Location::Disk(path) = location else { continue };
            let hold = || Ok(Held { identity: identity(path)?, content: held_content(path, backing)? });
            held.insert(path.clone(), hold().map_err(|source| LoadError::Read { file: name.to_owned(), source })?);
        }
        Ok(Self { held: Arc::new(held), ..self.clone() })
    }

    /// The same files, read from where they lie: for a model that keeps them for longer than its load, and is not to hold them.
    pub fn unheld(&self) -> Self {
        Self { held: Arc::default(), ..self.clone() }
    }

    /// Bytes of those that lie on a disk; what cannot be looked at has none.
    pub fn disk_bytes(&self) -> u64 {
        let size = |location: &Location| match location {
            Location::Disk(path) => path.metadata().map_or(0, |about| about.len()),
            Location::Embedded(_) | Location::Ahead { .. } => 0,
        };
        self.iter().map(|(_, _, location)| size(location)).sum()
    }

    pub fn are_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether this process could write to any of the files that lie on a disk; then others may as well.
    pub fn are_writable(&self) -> bool {
        let disk = self.iter().filter_map(|(_, _, location)| match location {
            Location::Disk(path) => Some(path),
            Location::Embedded(_) | Location::Ahead { .. } => None,
        });
        disk.into_iter().any(|path| File::options().write(true).open(path).is_ok())
    }

    /// A file, mapped: only what is looked at is read.
    pub fn open(&self, part: &str, file: &str) -> Result<Bytes, LoadError> {
        self.bytes(part, file, |path| Mapped::open(path).map(Bytes::from_owner))
    }

    /// A file of weights, read from front to back by every thread of the current pool: nobody waits for it later.
    pub fn weights(&self, part: &str, file: &str, backing: Backing) -> Result<Bytes, LoadError> {
        self.weights_without(part, file, backing, &[])
    }

    /// The same, where nobody will look at some ranges of it: they are not read, and take no memory. What stands there is the file
    /// or zeros.
    pub fn weights_without(
        &self,
        part: &str,
        file: &str,
        backing: Backing,
        unneeded: &[Range<usize>],
    ) -> Result<Bytes, LoadError> {
        self.bytes(part, file, |path| match backing {
            Backing::Mapped => mapped_whole(path, unneeded),
            Backing::Copied => copied(path, unneeded),
        })
    }

    fn bytes(&self, part: &str, file: &str, read: impl FnOnce(&Path) -> io::Result<Bytes>) -> Result<Bytes, LoadError> {
        match self.location(part, file)? {
            Location::Embedded(bytes) => Ok(Bytes::from_static(bytes)),
            Location::Disk(path) => match self.held.get(path) {
                Some(held) => Ok(held.content.clone()),
                None => read(path).map_err(|source| LoadError::Read { file: file.to_owned(), source }),
            },
            Location::Ahead { beginning, size } if beginning.len() as u64 == *size => Ok(beginning.clone()),
            Location::Ahead { .. } => Err(LoadError::Ahead(file.to_owned())),
        }
    }

    fn location(&self, part: &str, file: &str) -> Result<&Location, LoadError> {
        let location = self.parts.get(part).and_then(|files| files.get(file));
        location.ok_or_else(|| LoadError::Missing(file.to_owned()))
    }

    /// What a file begins with, as much as is known (all of it where it is here), and how many bytes it has.
    pub fn beginning(&self, part: &str, file: &str) -> Result<(Bytes, u64), LoadError> {
        if let Some(Location::Ahead { beginning, size }) = self.parts.get(part).and_then(|files| files.get(file)) {
            return Ok((beginning.clone(), *size));
        }
        let bytes = self.open(part, file)?;
        let size = bytes.len() as u64;
        Ok((bytes, size))
    }

    /// Bytes of a file.
    pub fn size(&self, part: &str, file: &str) -> Result<u64, LoadError> {
        self.beginning(part, file).map(|(_, size)| size)
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

// === reading ===

/// Of a file that lies on a disk.
fn identity(path: &Path) -> io::Result<String> {
    // Links lead to what the hub's cache names by its content.
    let (path, about) = (path.canonicalize()?, path.metadata()?);
    Ok(format!("{} {} {:?}", path.display(), about.len(), about.modified()?))
}

fn held_content(path: &Path, backing: Backing) -> io::Result<Bytes> {
    match backing {
        Backing::Copied => copied(path, &[]),
        Backing::Mapped => {
            let mapped = Mapped::open(path)?;
            pieces(mapped.len(), &[]).try_for_each(|(at, len)| populate(mapped.map(), at, len))?;
            // Few may lock as much as they like; what is not locked the system takes back where it has to.
            if let Err(error) = mapped.map().lock() {
                tracing::debug!(%error, "held without a lock");
            }
            Ok(Bytes::from_owner(mapped))
        }
    }
}

fn mapped_whole(path: &Path, unneeded: &[Range<usize>]) -> io::Result<Bytes> {
    let mapped = Mapped::open(path)?;
    pieces(mapped.len(), unneeded).try_for_each(|(at, len)| populate(mapped.map(), at, len))?;
    Ok(Bytes::from_owner(mapped))
}

fn copied(path: &Path, unneeded: &[Range<usize>]) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let mut memory = MmapMut::map_anon(usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?)?;
    #[cfg(target_os = "linux")]
    // Fewer and larger pages come faster. Where the system has none, small ones do.
    let _ = memory.advise(memmap2::Advice::HugePage);
    let pieces = memory.chunks_mut(PIECE).enumerate();
    let pieces = pieces.filter(|(at, piece)| is_needed(at * PIECE, piece.len(), unneeded)).par_bridge();
    pieces.try_for_each(|(at, piece)| file.read_exact_at(piece, (at * PIECE) as u64))?;
    Ok(Bytes::from_owner(memory.make_read_only()?))
}

/// Where each piece begins, and its length. They are taken in order, as a disk likes it.
fn pieces(len: usize, unneeded: &[Range<usize>]) -> impl ParallelIterator<Item = (usize, usize)> {
    let all = (0..len).step_by(PIECE).map(move |at| (at, PIECE.min(len - at)));
    all.filter(|(at, len)| is_needed(*at, *len, unneeded)).par_bridge()
}

/// Whether anything of a piece is.
fn is_needed(at: usize, len: usize, unneeded: &[Range<usize>]) -> bool {
    !unneeded.iter().any(|range| range.start <= at && at + len <= range.end)
}

/// Brings a piece into memory and into the tables of this process. Here a file that cannot be read is still an error.
fn populate(map: &Mmap, at: usize, len: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // All at once, where a fault would ask for a little.
        let _ = map.advise_range(memmap2::Advice::WillNeed, at, len);
        match map.advise_range(memmap2::Advice::PopulateRead, at, len) {
            // Before Linux 5.14.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            done => return done,
        }
    }
    const SMALLEST_PAGE: usize = 4096;
    let touched = map[at..at + len].iter().step_by(SMALLEST_PAGE).fold(0, |all, byte| all | byte);
    std::hint::black_box(touched);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_the_bytes_of_their_file_whatever_is_behind_them() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..2 * PIECE + 4097).map(|at| (at * 7 % 251) as u8).collect();
        let path = folder.path().join("weights");
        std::fs::write(&path, &content).unwrap();
        let mut files = ModelFiles::default();
        files.insert("model", "weights", Location::Disk(path));
        for backing in [Backing::Mapped, Backing::Copied] {
            assert!(files.weights("model", "weights", backing).unwrap() == content, "{backing:?}");
        }
    }

    #[test]
    fn what_is_held_is_read_from_memory_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let mut files = ModelFiles::default();
        files.insert("model", "weights", Location::Disk(path.clone()));
        files.insert("model", "config.json", Location::Embedded(b"{}"));
        for backing in [Backing::Mapped, Backing::Copied] {
            std::fs::write(&path, vec![7; PIECE + 1]).unwrap();
            assert_eq!(files.disk_bytes(), PIECE as u64 + 1);
            let (held, before) = (files.held(backing).unwrap(), files.fingerprint("model").unwrap());
            assert!(held.are_held() && !files.are_held() && !held.unheld().are_held());
            std::fs::remove_file(&path).unwrap();
            for of in [Backing::Mapped, Backing::Copied] {
                assert!(held.weights("model", "weights", of).unwrap() == vec![7; PIECE + 1]);
            }
            assert_eq!(held.size("model", "weights").unwrap(), PIECE as u64 + 1);
            assert_eq!(held.fingerprint("model").unwrap(), before, "they are the same files");
            assert_eq!(&*held.open("model", "config.json").unwrap(), b"{}");
            assert!(files.held(backing).is_err(), "what is not there cannot be held");
        }
    }

    #[test]
    fn what_nobody_needs_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        std::fs::write(&path, vec![7; 4 * PIECE]).unwrap();
        let mut files = ModelFiles::default();
        files.insert("model", "weights", Location::Disk(path));
        // Of the second piece all, of the third some.
        let unneeded = PIECE..2 * PIECE + 9;
        let unneeded = std::slice::from_ref(&unneeded);
        let copy = files.weights_without("model", "weights", Backing::Copied, unneeded).unwrap();
        let read: Vec<bool> = copy.chunks(PIECE).map(|piece| piece.iter().all(|&byte| byte == 7)).collect();
        assert_eq!((read, copy.len()), (vec![true, false, true, true], 4 * PIECE));
        let mapped = files.weights_without("model", "weights", Backing::Mapped, unneeded).unwrap();
        assert!(mapped.iter().all(|&byte| byte == 7), "the file is there for whoever looks");
    }

    #[test]
    fn a_copy_outlives_what_others_do_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        std::fs::write(&path, vec![7; 2 * PIECE]).unwrap();
        let mut files = ModelFiles::default();
        files.insert("model", "weights", Location::Disk(path.clone()));
        let copy = files.weights("model", "weights", Backing::Copied).unwrap();
        File::options().write(true).open(path).unwrap().set_len(1).unwrap();
        assert!(copy.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn other_files_have_another_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let of = |location: Location| {
            let mut files = ModelFiles::default();
            files.insert("model", "weights", location);
            files.fingerprint("model")
        };
        std::fs::write(&path, "one").unwrap();
        let first = of(Location::Disk(path.clone())).unwrap();
        assert_eq!(of(Location::Disk(path.clone())).unwrap(), first);
        std::fs::write(&path, "another").unwrap();
        let changed = of(Location::Disk(path)).unwrap();
        let (a, b) = (of(Location::Embedded(b"a")).unwrap(), of(Location::Embedded(b"b")).unwrap());
        assert!(first != changed && a != b && a != first);
        assert!(of(Location::Disk("/nowhere/at/all".into())).is_err());
    }

    #[test]
    fn a_file_that_is_still_to_come_has_a_size_and_a_beginning_and_cannot_be_read() {
        let mut files = ModelFiles::default();
        let ahead = |beginning: &'static [u8], size| Location::Ahead { beginning: Bytes::from_static(beginning), size };
        files.insert("model", "weights", ahead(b"{", 100));
        files.insert("model", "config.json", ahead(b"{}", 2));
        assert_eq!(files.beginning("model", "weights").unwrap(), (Bytes::from_static(b"{"), 100));
        assert_eq!(files.size("model", "weights").unwrap(), 100);
        assert_eq!(&*files.open("model", "config.json").unwrap(), b"{}", "all of it is known");
        let error = files.weights("model", "weights", Backing::Mapped).unwrap_err();
        assert_eq!(error.to_string(), "weights is not here yet");
    }

    #[test]
    fn a_file_that_is_not_there_is_named_without_its_path() {
        let mut files = ModelFiles::default();
        files.insert("model", "weights", Location::Disk("/nowhere/at/all".into()));
        for backing in [Backing::Mapped, Backing::Copied] {
            let error = files.weights("model", "weights", backing).unwrap_err();
            assert_eq!(error.to_string(), "weights could not be read");
        }
    }
}
