//! Computations in a folder: a safetensors file each. Several processes may use it at once.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use candle_core::{Device, Tensor, safetensors};
use tempfile::NamedTempFile;

/// Tensors by their names, on the CPU.
pub type ReferenceTensors = HashMap<String, Tensor>;

const EXTENSION: &str = "safetensors";

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Bytes of all files, at most.
    most: u64,
}

// === impl Folder ===

impl Folder {
    pub fn new(path: PathBuf, most: u64) -> Self {
        Self { path, most }
    }

    /// What was kept under a name. A file that is damaged goes.
    pub fn get(&self, name: &str) -> Option<ReferenceTensors> {
        let path = self.file(name);
        let bytes = match read(&path, self.most) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "what was kept of a reference cannot be read");
                return None;
            }
        };
        match safetensors::load_buffer(&bytes, &Device::Cpu) {
            Ok(tensors) => Some(tensors),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "what was kept of a reference is damaged, and made anew");
                drop(fs::remove_file(&path));
                None
            }
        }
    }

    /// Keeps it, as far as there is room.
    pub fn put(&self, name: &str, tensors: &ReferenceTensors) {
        let kept = self.write(name, tensors).and_then(|()| self.clear());
        if let Err(error) = kept {
            tracing::warn!(folder = %self.path.display(), %error, "what is computed of a reference cannot be kept");
        }
    }

    fn write(&self, name: &str, tensors: &ReferenceTensors) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        let file = NamedTempFile::with_prefix_in(".", &self.path)?;
        let tensors: HashMap<&str, _> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
        safetensors::save(&tensors, file.path()).map_err(io::Error::other)?;
        file.as_file().sync_all()?;
        file.persist(self.file(name)).map(drop).map_err(|error| error.error)
    }

    /// Takes away what was used longest ago, until the rest fits.
    fn clear(&self) -> io::Result<()> {
        let mut files = self.files()?;
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in files {
            if bytes <= self.most {
                break;
            }
            // Another process may have been sooner.
            drop(fs::remove_file(path));
            bytes -= size;
        }
        Ok(())
    }

    /// When each was used, its bytes, its path.
    fn files(&self) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
        let paths = fs::read_dir(&self.path)?.filter_map(|entry| Some(entry.ok()?.path()));
        let about = |path: PathBuf| {
            let about = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
            Some((about.modified().ok()?, about.len(), path))
        };
        Ok(paths.filter(|path| path.extension().is_some_and(|end| end == EXTENSION)).filter_map(about).collect())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name).with_extension(EXTENSION)
    }
}

/// A file of no more than so many bytes, which counts as used now.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > most {
        return Err(io::Error::other("it is larger than the whole cache may be"));
    }
    // In a folder that cannot be written, the oldest is not taken away either.
    drop(File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now())));
    fs::read(path)
}
