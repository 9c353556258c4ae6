//! A file that is not whole yet: `<blob>.<random>.part` beside the blob that it is to become, and a journal of which
//! bytes are there, `<blob>.<random>.journal`. Both outlive a break, of the connection and of the process; whoever
//! fetches the file next takes them over.
//!
//! What is taken over is hashed like everything else, so a journal that promises too much costs a second transfer and
//! never a wrong file.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    digest::Checksum,
    extents::Extents,
    files::new_file,
    layout::RepoDir,
    owner::{Alive, Owner},
};

/// A part of a dead writer that nobody has gone on with for so long is of a file that nobody wants any more.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Changes when a reader of the old form would misread the new one.
const VERSION: u32 = 1;
/// Bytes that are copied at a time.
const BLOCK: usize = 1 << 20;
/// What `stat` counts in, whatever the file system does.
const BYTES_PER_BLOCK: u64 = 512;

/// The file of one writer. Dropped, it stays for the next one.
pub(super) struct Partial {
    pub file: File,
    part: PathBuf,
    journal: PathBuf,
    size: u64,
    pub there: Extents,
    writer: Alive,
}

/// What the journal says.
#[derive(Serialize, Deserialize)]
struct Journal {
    version: u32,
    /// Of the whole file.
    size: u64,
    writer: Owner,
    there: Extents,
}

// === impl Partial ===

impl Partial {
    /// Goes on with what an earlier writer left, or begins. Blocks.
    pub(super) fn open(dir: &RepoDir, checksum: &Checksum, size: u64) -> io::Result<Self> {
        let writer = Alive::new();
        let stem = format!("{}.{}", checksum.name(), &writer.0.id[..16]);
        let (part, journal) = (dir.blob(&format!("{stem}.part")), dir.blob(&format!("{stem}.journal")));
        fs::create_dir_all(dir.blobs())?;
        for (left, said) in left_behind(dir, checksum, size) {
            if let Some(partial) = Self::take_over(&left, said, &part, &journal, size, &writer)? {
                let (file, there) = partial;
                tracing::info!(part = %left.display(), bytes = there.bytes(), of_bytes = size, "going on with a part");
                let partial = Self { file, part, journal, size, there, writer };
                partial.note()?;
                return Ok(partial);
            }
        }
        let partial = Self { file: new_file(&part)?, part, journal, size, there: Extents::default(), writer };
        partial.note()?;
        Ok(partial)
    }

    /// The file of a writer that is dead for certain becomes ours by a rename, which one of many wins. One that may
    /// still be written to is copied.
    fn take_over(
        left: &Path,
        said: Journal,
        part: &Path,
        journal: &Path,
        size: u64,
        writer: &Alive,
    ) -> io::Result<Option<(File, Extents)>> {
        let dead = said.writer.is_dead();
        let ours = Journal { version: VERSION, size, writer: writer.0.clone(), there: said.there.clone() };
        // The journal first, or a death between the two would leave a part that nobody knows.
        let taken = match dead {
            true => ours.write(journal).and_then(|()| fs::rename(left, part)).map(|()| said.there),
            false => copy(left, part, said.there),
        };
        let there = match taken {
            Ok(there) => there,
            // Somebody else was faster, or it cannot be read: then it is as if it were not there.
            Err(error) => {
                tracing::debug!(part = %left.display(), %error, "cannot take a part over");
                drop((fs::remove_file(journal), fs::remove_file(part)));
                return Ok(None);
            }
        };
        if dead {
            drop(fs::remove_file(journal_of(left)));
        }
        Ok(Some((File::options().read(true).write(true).open(part)?, there)))
    }

    /// Writes down what is there.
    pub(super) fn note(&self) -> io::Result<()> {
        let journal =
            Journal { version: VERSION, size: self.size, writer: self.writer.0.clone(), there: self.there.clone() };
        journal.write(&self.journal)
    }

    /// Puts bytes in their place.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)?;
        self.there.add(at..at + bytes.len() as u64);
        Ok(())
    }

    /// Gives the file its name, on the disk.
    pub(super) fn persist(self, blob: &Path) -> io::Result<()> {
        // Before the rename, or a crash of the machine could leave the name without the content.
        self.file.sync_data()?;
        match fs::rename(&self.part, blob) {
            // Another writer, for which no lock kept us, was faster and cleared our part away.
            Err(error) if error.kind() == io::ErrorKind::NotFound && blob.exists() => {}
            other => other?,
        }
        clear(blob);
        Ok(())
    }

    /// Puts it aside: it is not what it should be.
    pub(super) fn quarantine(self, dir: &RepoDir, checksum: &Checksum) {
        dir.quarantine(&self.part, checksum.name());
        drop(fs::remove_file(&self.journal));
    }
}

// === impl Journal ===

impl Journal {
    fn read(path: &Path, size: u64) -> Option<Self> {
        let journal: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let Self { version, writer, there, .. } = journal;
        let there = there.checked(size)?;
        (version == VERSION && journal.size == size).then_some(Self { version, size, writer, there })
    }

    /// As a whole. Not forced to the disk: a journal that is lost costs bytes, not truth.
    fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("note");
        fs::write(&beside, serde_json::to_vec(self)?)?;
        fs::rename(&beside, path)
    }
}

/// How many bytes of the disk a file has already, for those who count before they fetch. What an earlier writer wrote and
/// could not write down any more, as on a full disk, is written again where it lies.
pub(super) fn left_bytes(dir: &RepoDir, checksum: &Checksum, size: u64) -> u64 {
    let taken = |part: &Path| fs::metadata(part).map_or(0, |meta| meta.blocks() * BYTES_PER_BLOCK);
    left_behind(dir, checksum, size)
        .first()
        .map_or(0, |(part, journal)| journal.there.bytes().max(taken(part)).min(size))
}

/// Whether a file among the blobs is one that a writer, now dead for certain, left behind.
pub(super) fn is_left_behind(part: &Path) -> bool {
    let journal = fs::read(journal_of(part)).ok().and_then(|bytes| serde_json::from_slice::<Journal>(&bytes).ok());
    journal.is_none_or(|journal| journal.writer.is_dead())
}

pub(super) fn journal_of(part: &Path) -> PathBuf {
    part.with_extension("journal")
}

/// Removes what writers that died left behind and nobody has wanted since.
pub(super) fn sweep(dir: &RepoDir) {
    let Ok(entries) = fs::read_dir(dir.blobs()) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_abandoned(path)) {
        drop(fs::remove_file(journal_of(&path)));
        match fs::remove_file(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "removed an abandoned download"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove an abandoned download"),
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    let part = path.extension().is_some_and(|extension| extension == "part") && is_left_behind(path);
    let silent = || fs::metadata(path).and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
    part && silent().is_some_and(|silent| silent > ABANDONED)
}

/// The parts of a file that are here, the fullest first.
fn left_behind(dir: &RepoDir, checksum: &Checksum, size: u64) -> Vec<(PathBuf, Journal)> {
    let prefix = format!("{}.", checksum.name());
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&prefix) && name.ends_with(".part")
    };
    let entries = fs::read_dir(dir.blobs()).into_iter().flatten().flatten().map(|entry| entry.path());
    let known = |part: PathBuf| {
        let journal = Journal::read(&journal_of(&part), size)?;
        // A file that is shorter than its journal says was cut off by a crash.
        let long_enough = fs::metadata(&part).is_ok_and(|meta| journal.there.end() <= meta.len());
        // Of a dead writer even an empty one is of use: its place on the disk.
        let of_use = journal.there.bytes() > 0 || journal.writer.is_dead();
        (long_enough && of_use).then_some((part, journal))
    };
    let mut parts: Vec<_> = entries.filter(ours).filter_map(known).collect();
    parts.sort_by_key(|(_, journal)| std::cmp::Reverse(journal.there.bytes()));
    parts
}

/// Removes every part of a blob that is in its place now.
fn clear(blob: &Path) {
    let (Some(folder), Some(name)) = (blob.parent(), blob.file_name().and_then(|name| name.to_str())) else { return };
    let prefix = format!("{name}.");
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Copies the ranges that are there.
fn copy(from: &Path, to: &Path, there: Extents) -> io::Result<Extents> {
    let (from, to) = (File::open(from)?, new_file(to)?);
    let mut block = vec![0; BLOCK];
    for range in there.ranges() {
        let mut at = range.start;
        while at < range.end {
            let length = usize::try_from(range.end - at).unwrap_or(BLOCK).min(BLOCK);
            from.read_exact_at(&mut block[..length], at)?;
            to.write_all_at(&block[..length], at)?;
            at += length as u64;
        }
    }
    Ok(there)
}
