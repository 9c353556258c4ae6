//! Checksums of what arrives and of what lies on disk.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Bytes that are read and hashed at a time.
const BLOCK: usize = 1 << 20;

/// The name of a blob, which tells its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    Sha256(String),
    /// Of `blob <length>\0` and the content.
    GitSha1(String),
    /// The place knows none. The name tells one version of one file from every other, and no more: what arrives is
    /// held against its size, and its own sha256 goes into the manifest.
    Unknown(String),
}

/// Hashes a file while it passes by.
pub(super) struct Hasher {
    expected: Checksum,
    size: u64,
    seen: u64,
    sha256: Sha256,
    /// Only for files that git names.
    sha1: Option<Sha1>,
}

// === impl Checksum ===

impl Checksum {
    /// The hub names large files by their sha256 and small ones as git does.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let hex = name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        match name.len() {
            64 if hex => Some(Self::Sha256(name.to_owned())),
            40 if hex => Some(Self::GitSha1(name.to_owned())),
            _ => None,
        }
    }

    /// The name of the blob.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Sha256(name) | Self::GitSha1(name) | Self::Unknown(name) => name,
        }
    }
}

// === impl Hasher ===

impl Hasher {
    /// For a file that should be of that content and size.
    pub(super) fn new(expected: Checksum, size: u64) -> Self {
        let sha1 = matches!(expected, Checksum::GitSha1(_)).then(|| Sha1::new_with_prefix(format!("blob {size}\0")));
        Self { expected, size, seen: 0, sha256: Sha256::new(), sha1 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        self.sha256.update(bytes);
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
    }

    /// The sha256 of the whole, or what is wrong with it.
    pub(super) fn finish(self) -> Result<String, String> {
        let sha256 = hex::encode(self.sha256.finalize());
        if self.seen != self.size {
            return Err(format!("{} bytes instead of {}", self.seen, self.size));
        }
        if matches!(self.expected, Checksum::Unknown(_)) {
            return Ok(sha256);
        }
        let found = self.sha1.map_or_else(|| sha256.clone(), |sha1| hex::encode(sha1.finalize()));
        match found == self.expected.name() {
            true => Ok(sha256),
            false => Err(format!("its checksum is {found} instead of {}", self.expected.name())),
        }
    }
}

/// [`Hasher`] over a file on disk. Blocks for as long as reading takes.
pub(super) fn check(path: &Path, expected: Checksum, size: u64) -> io::Result<Result<String, String>> {
    let (mut file, mut hasher) = (File::open(path)?, Hasher::new(expected, size));
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&block[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n' | git hash-object --stdin` and `… | sha256sum`.
    #[test]
    fn both_names_of_a_file_are_recognised() {
        let (git, sha256) = (
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        );
        for name in [git, sha256] {
            let mut hasher = Hasher::new(Checksum::of_name(name).unwrap(), 6);
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            assert_eq!(hasher.finish(), Ok(sha256.to_owned()));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut hasher = Hasher::new(Checksum::Sha256("0".repeat(64)), 1);
        hasher.update(b"x");
        assert!(hasher.finish().unwrap_err().contains("instead of 000"));
    }
}
