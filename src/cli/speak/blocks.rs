//! Finished blocks of a long text, in a folder beside the file that they will be: `out.mp3.part`. Each is a WAV file, named
//! by a digest of its text and of all that decides how it sounds, and is there whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

use crate::audio::{Pcm, samples_of_pcm16};

const LOCK: &str = "lock";
/// Bytes before the samples, as `audio` writes them, and where the channels and the rate stand in them.
const HEADER: usize = 44;
const CHANNELS: usize = 22;
const RATE: usize = 24;
/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// The folder, which is this process's as long as the value lives.
pub(super) struct Blocks {
    folder: PathBuf,
    /// Locked; the system lets go of it with the process.
    _lock: File,
}

// === impl Blocks ===

impl Blocks {
    /// Beside a file.
    pub fn beside(path: &Path) -> anyhow::Result<Self> {
        let mut name = OsString::from(path);
        name.push(".part");
        let folder = PathBuf::from(name);
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let lock = File::create(folder.join(LOCK)).with_context(|| format!("{}", folder.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!("another sconce works on {} already", path.display()),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{}", folder.display())),
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.path(key).is_file()
    }

    /// A file for a block that is being made.
    pub fn begin(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::with_prefix_in(".", &self.folder)
    }

    /// The block is whole.
    pub fn keep(&self, file: NamedTempFile, key: &str) -> io::Result<()> {
        file.as_file().sync_all()?;
        file.persist(self.path(key)).map(drop).map_err(|error| error.error)
    }

    /// Reads a block, piece by piece.
    pub fn read<E: From<io::Error>>(&self, key: &str, mut hear: impl FnMut(&Pcm) -> Result<(), E>) -> Result<(), E> {
        let mut file = File::open(self.path(key))?;
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        let channels = usize::from(u16::from_le_bytes([header[CHANNELS], header[CHANNELS + 1]]));
        let rate = u32::from_le_bytes([header[RATE], header[RATE + 1], header[RATE + 2], header[RATE + 3]]);
        if rate == 0 || channels == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a block is no sound").into());
        }
        loop {
            let mut bytes = Vec::with_capacity(PIECE);
            let piece = (PIECE / (2 * channels) * 2 * channels) as u64;
            (&mut file).take(piece).read_to_end(&mut bytes)?;
            if bytes.is_empty() {
                return Ok(());
            }
            hear(&Pcm::interleaved(samples_of_pcm16(&bytes).collect(), rate, channels))?;
        }
    }

    /// Everything is in its file now.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key).with_extension("wav")
    }
}
