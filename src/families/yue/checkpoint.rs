//! What goes on after a restart: all that was sung and refined of a song's finished sections.

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};

use super::{prompt::TRACKS, tokens::BOOKS};
use crate::speech::Checkpoint;

/// What it begins with; another where it is written otherwise.
const MAGIC: &[u8; 4] = b"YuE1";

/// What tells one song from another, with the model that sings it.
pub type SongIdentity = [u8; 32];

/// The finished sections of a song.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinishedSections {
    /// Tokens of each, with their ends.
    pub sung: Vec<Vec<u32>>,
    /// Codes that were refined, of each track.
    pub frames: [Vec<[u16; BOOKS]>; TRACKS],
}

/// Of all that a song depends on.
pub fn identity<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> SongIdentity {
    let mut all = Sha256::new();
    for part in parts {
        all.update((part.len() as u64).to_le_bytes());
        all.update(part);
    }
    all.finalize().into()
}

// === impl FinishedSections ===

impl FinishedSections {
    pub fn write(&self, identity: &SongIdentity) -> Checkpoint {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(identity);
        let count = |bytes: &mut Vec<u8>, count: usize| bytes.extend((count as u32).to_le_bytes());
        count(&mut bytes, self.sung.len());
        for section in &self.sung {
            count(&mut bytes, section.len());
            section.iter().for_each(|token| bytes.extend(token.to_le_bytes()));
        }
        for track in &self.frames {
            count(&mut bytes, track.len());
            track.iter().flatten().for_each(|code| bytes.extend(code.to_le_bytes()));
        }
        Checkpoint(bytes.into())
    }

    /// `None`: it is of another song or another model, or damaged.
    pub fn read(checkpoint: &Checkpoint, identity: &SongIdentity) -> Option<Self> {
        let mut rest = checkpoint.0.clone();
        if take(&mut rest, MAGIC.len())? != MAGIC[..] || take(&mut rest, identity.len())? != identity[..] {
            return None;
        }
        let sections = count(&mut rest)?;
        let section = |rest: &mut Bytes| {
            let length = count(rest)?;
            let tokens = take(rest, length.checked_mul(size_of::<u32>())?)?;
            Some(tokens.as_chunks().0.iter().map(|token| u32::from_le_bytes(*token)).collect())
        };
        let sung = (0..sections).map(|_| section(&mut rest)).collect::<Option<Vec<_>>>()?;
        let track = |rest: &mut Bytes| {
            let length = count(rest)?;
            let codes = take(rest, length.checked_mul(BOOKS * size_of::<u16>())?)?;
            let codes: Vec<u16> = codes.as_chunks().0.iter().map(|code| u16::from_le_bytes(*code)).collect();
            Some(codes.as_chunks().0.to_vec())
        };
        let frames = [track(&mut rest)?, track(&mut rest)?];
        rest.is_empty().then_some(Self { sung, frames })
    }
}

fn take(rest: &mut Bytes, count: usize) -> Option<Bytes> {
    (count <= rest.len()).then(|| rest.split_to(count))
}

fn count(rest: &mut Bytes) -> Option<usize> {
    (rest.len() >= size_of::<u32>()).then(|| rest.get_u32_le() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_by_the_same_song_alone() {
        let sections = FinishedSections {
            sung: vec![vec![7, 70_000], vec![], vec![2]],
            frames: [vec![[1, 2, 3, 4, 5, 6, 7, 1023]; 3], vec![[9; BOOKS]]],
        };
        let own = identity([&b"model"[..], b"song"]);
        let written = sections.write(&own);
        assert_eq!(FinishedSections::read(&written, &own), Some(sections));
        assert_ne!(own, identity([&b"mode"[..], b"lsong"]));
        assert_eq!(FinishedSections::read(&written, &identity([&b"model"[..], b"other song"])), None);
        for cut in 0..written.0.len() {
            assert_eq!(FinishedSections::read(&Checkpoint(written.0.slice(..cut)), &own), None, "{cut}");
        }
        let longer = Checkpoint([&written.0[..], &[0]].concat().into());
        assert_eq!(FinishedSections::read(&longer, &own), None);
        let many = [&MAGIC[..], &own, &u32::MAX.to_le_bytes(), &u32::MAX.to_le_bytes()].concat();
        assert_eq!(FinishedSections::read(&Checkpoint(many.into()), &own), None);
    }
}
