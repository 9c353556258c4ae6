//! Archives: `.zip` and `.tar.gz`, unpacked without trust. Whoever made one decides nothing but the content of plain
//! files below the folder it is unpacked into.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

/// How files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Archive {
    Zip,
    TarGz,
}

/// What an archive may unfold into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub entries: usize,
    /// Of all files together.
    pub bytes: u64,
}

/// A file that was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// Below the folder, with `/` between components.
    pub file: String,
    pub size: u64,
    pub sha256: String,
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// Of the disk.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// Of the archive, which will be the same next time. Reads well after "the archive".
    #[error("{0}")]
    Refused(String),
}

/// One pass over one archive.
struct Pass<'a> {
    /// `None`: only looks.
    into: Option<&'a Path>,
    limits: Limits,
    left: u64,
    files: usize,
    unpacked: Vec<Unpacked>,
}

// === impl Archive ===

impl Archive {
    /// By the end of a name; with what comes before it.
    pub(super) fn of_name(name: &str) -> Option<(Self, &str)> {
        const ENDS: [(&str, Archive); 3] =
            [(".zip", Archive::Zip), (".tar.gz", Archive::TarGz), (".tgz", Archive::TarGz)];
        ENDS.into_iter().find_map(|(end, archive)| {
            let stem = name.len().checked_sub(end.len()).and_then(|at| name.split_at_checked(at));
            stem.filter(|(stem, tail)| tail.eq_ignore_ascii_case(end) && !stem.is_empty())
                .map(|(stem, _)| (archive, stem))
        })
    }

    /// Bytes that it unfolds into, or why it may not: before the first of them is written. All of a `.tar.gz` is read
    /// for that, since its sizes stand between its files. Blocks.
    pub(super) fn measure(self, archive: &Path, limits: Limits) -> Result<u64, ArchiveError> {
        let pass = self.pass(archive, None, limits)?;
        Ok(limits.bytes - pass.left)
    }

    /// Unpacks into a folder that is there and empty. Blocks.
    pub(super) fn unpack(self, archive: &Path, into: &Path, limits: Limits) -> Result<Vec<Unpacked>, ArchiveError> {
        Ok(self.pass(archive, Some(into), limits)?.unpacked)
    }

    fn pass<'a>(self, archive: &Path, into: Option<&'a Path>, limits: Limits) -> Result<Pass<'a>, ArchiveError> {
        let file = BufReader::new(File::open(archive)?);
        let mut pass = Pass { into, limits, left: limits.bytes, files: 0, unpacked: Vec::new() };
        match self {
            Self::Zip => pass.zip(file)?,
            Self::TarGz => pass.tar_gz(file)?,
        }
        match pass.files {
            0 => Err(refused("holds no file")),
            _ => Ok(pass),
        }
    }
}

// === impl Limits ===

impl Limits {
    /// For an archive of so many bytes. Weights hardly shrink and texts shrink to a fifth; what unfolds a hundredfold
    /// is neither. Small archives may hold small files of zeros.
    pub(super) fn of(packed: u64) -> Self {
        const TIMES: u64 = 100;
        const ALWAYS: u64 = 64 << 20;
        const ENTRIES: usize = 20_000;
        Self { entries: ENTRIES, bytes: packed.saturating_mul(TIMES).max(ALWAYS) }
    }
}

// === impl Pass ===

impl Pass<'_> {
    fn zip(&mut self, mut file: BufReader<File>) -> Result<(), ArchiveError> {
        let listed = listed(&mut file).map_err(broken)?;
        let mut archive = zip::ZipArchive::new(file).map_err(zip_trouble)?;
        if archive.len() > self.limits.entries {
            return Err(self.too_many());
        }
        // The library keeps the last of several entries of one name.
        if listed.is_some_and(|listed| listed != archive.len()) {
            return Err(refused("holds a file twice"));
        }
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(zip_trouble)?;
            let name = entry.name().map_err(zip_trouble)?.into_owned();
            // A file's type is in the upper bits of what Unix calls its mode; 0 says nothing.
            let kind = entry.unix_mode().unwrap_or(0) & 0o170_000;
            let is_dir = entry.is_dir();
            if !matches!(kind, 0 | 0o100_000 | 0o040_000) || entry.is_symlink() {
                return Err(no_plain_file(&name));
            }
            let size = entry.size();
            if !is_dir {
                self.file(&name, &mut entry, size)?;
            }
        }
        Ok(())
    }

    fn tar_gz(&mut self, file: BufReader<File>) -> Result<(), ArchiveError> {
        // Headers count against the limit as well, so that endless ones end.
        let bound = self.limits.bytes.saturating_add(self.limits.entries as u64 * 4096);
        let mut archive = tar::Archive::new(GzDecoder::new(file).take(bound));
        let mut seen = 0;
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            seen += 1;
            if seen > self.limits.entries {
                return Err(self.too_many());
            }
            let name = String::from_utf8(entry.path_bytes().into_owned())
                .map_err(|_| refused("names a file in letters that are not UTF-8"))?;
            match entry.header().entry_type() {
                kind if kind.is_dir() || kind.is_pax_global_extensions() => {}
                kind if kind.is_file() => {
                    let size = entry.size();
                    self.file(&name, &mut entry, size)?;
                }
                _ => return Err(no_plain_file(&name)),
            }
        }
        // The checksum of the whole is at its end.
        let mut rest = archive.into_inner();
        io::copy(&mut rest, &mut io::sink()).map_err(broken)?;
        match rest.limit() {
            0 => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    /// One file that says that it has so many bytes.
    fn file(&mut self, name: &str, bytes: &mut impl Read, size: u64) -> Result<(), ArchiveError> {
        let Some(file) = inside(name)? else { return Ok(()) };
        self.files += 1;
        if self.files > self.limits.entries {
            return Err(self.too_many());
        }
        self.left = self.left.checked_sub(size).ok_or_else(|| self.too_large())?;
        if let Some(into) = self.into {
            let sha256 = write(into, &file, bytes, size)?;
            self.unpacked.push(Unpacked { file, size, sha256 });
        }
        Ok(())
    }

    fn too_many(&self) -> ArchiveError {
        refused(&format!("holds more than {} entries", self.limits.entries))
    }

    fn too_large(&self) -> ArchiveError {
        refused(&format!("unfolds into more than {} bytes, which no model of its size does", self.limits.bytes))
    }
}

/// Writes a file below a folder, and gives its sha256.
fn write(into: &Path, file: &str, bytes: &mut impl Read, size: u64) -> Result<String, ArchiveError> {
    let path = into.join(file);
    let folder = path.parent().unwrap_or(into);
    fs::create_dir_all(folder).map_err(|error| clash(file, error))?;
    // Never through a link, never over what is there.
    let target = File::options().write(true).create_new(true).open(&path).map_err(|error| clash(file, error))?;
    let (written, sha256) = copy(&mut bytes.take(size.saturating_add(1)), target)?;
    match written == size {
        true => Ok(sha256),
        false => Err(refused(&format!("says that {file:?} has {size} bytes, and it has {written}"))),
    }
}

/// Copies and hashes. A failure to read is the archive's, a failure to write the disk's.
fn copy(from: &mut impl Read, to: File) -> Result<(u64, String), ArchiveError> {
    let (mut to, mut hasher, mut written) = (BufWriter::new(to), Sha256::new(), 0);
    let mut block = vec![0; 1 << 18];
    loop {
        let read = from.read(&mut block).map_err(broken)?;
        if read == 0 {
            break;
        }
        hasher.update(&block[..read]);
        to.write_all(&block[..read])?;
        written += read as u64;
    }
    to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    Ok((written, hex::encode(hasher.finalize())))
}

/// The name of an entry as a path that stays below its folder on every system, or why it is none. `None`: it is of no
/// use to anybody.
fn inside(name: &str) -> Result<Option<String>, ArchiveError> {
    const LONGEST: usize = 1024;
    let name = name.strip_prefix("./").unwrap_or(name);
    let bad = |part: &str| {
        matches!(part, "" | "." | "..") || part.len() > 255 || part.ends_with(['.', ' ']) || is_device(part)
    };
    let strange = |c: char| c.is_control() || matches!(c, '\\' | ':');
    if name.len() > LONGEST || name.contains(strange) || name.split('/').any(bad) {
        return Err(refused(&format!("holds the entry {name:?}, whose name could leave its folder")));
    }
    // What a Mac adds.
    Ok((!name.starts_with("__MACOSX/")).then(|| name.to_owned()))
}

/// Names that Windows gives to devices, whatever comes after a dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered =
        |prefix: &str| stem.strip_prefix(prefix).is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// How many entries the end of a zip file says that it has; `None` where it does not say it there. APPNOTE 4.3.16.
fn listed(file: &mut BufReader<File>) -> io::Result<Option<usize>> {
    const SIGNATURE: &[u8] = b"PK\x05\x06";
    /// Of the record itself, and of the longest comment after it.
    const LONGEST: u64 = 22 + u16::MAX as u64;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST)))?;
    let mut tail = Vec::new();
    file.by_ref().take(LONGEST).read_to_end(&mut tail)?;
    file.rewind()?;
    let record = tail.windows(SIGNATURE.len()).rposition(|window| window == SIGNATURE).map(|at| &tail[at..]);
    let count = record.and_then(|record| record.get(10..12)).map(|count| u16::from_le_bytes([count[0], count[1]]));
    // All ones: another record says it, which is for more entries than a model has.
    Ok(count.filter(|count| *count != u16::MAX).map(usize::from))
}

fn refused(reason: &str) -> ArchiveError {
    ArchiveError::Refused(reason.to_owned())
}

fn no_plain_file(name: &str) -> ArchiveError {
    refused(&format!("holds {name:?}, which is a link or a device; only plain files are unpacked"))
}

/// Reading the archive failed: it is cut off, damaged, or none.
fn broken(error: io::Error) -> ArchiveError {
    refused(&format!("is damaged, or is none: {error}"))
}

fn zip_trouble(error: zip::result::ZipError) -> ArchiveError {
    refused(&format!("cannot be read: {error}"))
}

/// Two entries want one place.
fn clash(file: &str, error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            refused(&format!("holds {file:?} twice"))
        }
        _ => ArchiveError::Disk(error),
    }
}

#[cfg(test)]
mod tests;
