//! How many sections of a song are sung, for another process.

use std::hash::{DefaultHasher, Hash, Hasher};

use sconce::speech::{Checkpoint, Synthesize};

/// Bytes before the filling.
const LENGTH: usize = 16;

/// What tells one song from another.
pub fn identity(asked: &Synthesize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&asked.text, asked.options.seed).hash(&mut hasher);
    hasher.finish()
}

/// With a filling of so many bytes in all.
pub fn write(identity: u64, sung: usize, bytes: usize) -> Checkpoint {
    let mut content = [identity.to_le_bytes(), (sung as u64).to_le_bytes()].concat();
    content.resize(bytes.max(LENGTH), 0);
    Checkpoint(content.into())
}

/// Sections that were sung; 0 where it is of another song.
pub fn read(checkpoint: Option<&Checkpoint>, identity: u64) -> usize {
    let words: Option<[u64; 2]> = checkpoint.and_then(|checkpoint| {
        let (words, _) = checkpoint.0.get(..LENGTH)?.as_chunks();
        Some([u64::from_le_bytes(*words.first()?), u64::from_le_bytes(*words.get(1)?)])
    });
    words.filter(|[of, _]| *of == identity).map_or(0, |[_, sung]| sung as usize)
}
