//! The file in which who runs the server says how words are to be said.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use crate::text::{Lexicon, LexiconError};

/// Bytes that are read of it: more than a lexicon may have, so that one which is too large is told so.
const LARGEST: u64 = 4 << 20;

/// A lexicon, and the file that it is read from.
#[derive(Clone, Debug, Default)]
pub struct LexiconFile {
    path: PathBuf,
    words: Arc<Lexicon>,
    sha256: String,
}

/// What is wrong with such a file.
#[derive(Debug, thiserror::Error)]
pub enum LexiconFault {
    #[error("{} cannot be read: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", .path.display())]
    Words { path: PathBuf, source: LexiconError },
}

// === impl LexiconFile ===

impl LexiconFile {
    /// Without a word until it is [read](Self::read).
    pub fn new(path: PathBuf) -> Self {
        Self { path, ..Self::default() }
    }

    pub fn read(&mut self) -> Result<(), LexiconFault> {
        let text = text(&self.path).map_err(|source| LexiconFault::Read { path: self.path.clone(), source })?;
        let words = Lexicon::parse(&text).map_err(|source| LexiconFault::Words { path: self.path.clone(), source })?;
        (self.words, self.sha256) = (Arc::new(words), hex::encode(Sha256::digest(&text)));
        Ok(())
    }

    pub fn words(&self) -> &Lexicon {
        &self.words
    }

    /// Of the file's text, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}
