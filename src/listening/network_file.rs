//! The file that a network is read from.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::nn::weights::{LayerError, WeightError, Weights};

/// Bytes of a file, at most: an S3Gen, of which CAM++ is a part, has 1 GB.
const LARGEST: u64 = 2 << 30;

/// What is wrong with such a file.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFault {
    #[error("{setting}: {} cannot be read: {source}", .path.display())]
    Read { setting: &'static str, path: PathBuf, source: io::Error },
    #[error("{setting}: {} has more than {LARGEST} bytes, and is no such network", .path.display())]
    TooLarge { setting: &'static str, path: PathBuf },
    #[error("{setting}: {}: {source}; {expected} is expected", .path.display())]
    Network { setting: &'static str, path: PathBuf, source: Box<LayerError>, expected: &'static str },
    #[error("{setting}: the threads did not start: {source}")]
    Threads { setting: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Where a network comes from, and what it should be.
pub(super) struct NetworkFile<'a> {
    pub setting: &'static str,
    pub path: &'a Path,
    pub expected: &'static str,
}

// === impl NetworkFile ===

impl NetworkFile<'_> {
    /// Makes the network of its tensors, every one of which it has to take.
    pub fn read<N>(&self, load: impl FnOnce(&mut Weights) -> Result<N, LayerError>) -> Result<N, NetworkFault> {
        let Self { setting, path, expected } = *self;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = self.bytes()?;
        let network = || {
            let mut weights = Weights::open(&[(name, bytes)], "")?;
            let network = load(&mut weights)?;
            weights.finish()?;
            Ok(network)
        };
        let fault = |source: LayerError| NetworkFault::Network {
            setting,
            path: path.to_owned(),
            source: Box::new(source),
            expected,
        };
        network().map_err(fault)
    }

    fn bytes(&self) -> Result<Bytes, NetworkFault> {
        let (setting, path) = (self.setting, self.path.to_owned());
        let mut bytes = Vec::new();
        match File::open(self.path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)) {
            Err(source) => Err(NetworkFault::Read { setting, path, source }),
            Ok(_) if bytes.len() as u64 > LARGEST => Err(NetworkFault::TooLarge { setting, path }),
            Ok(_) => Ok(bytes.into()),
        }
    }
}

/// A fault that is of no tensor alone.
pub(super) fn not_such_a_network(tensor: &str) -> LayerError {
    WeightError::tensor(tensor, "is missing".to_owned()).into()
}
