//! One of a song's two tracks: the first book of its codes as it is sung, and all books of what was refined.

use super::{
    net::{most_common, repaired},
    prompt::TRACKS,
    tokens::{BOOKS, SongIds},
};

/// Frames of a block, which the second stage refines by itself: six seconds, as it was trained.
pub const BLOCK: usize = 300;

/// Positions of the second stage that a block takes: those of its first book, and of all books.
pub const fn block_positions(frames: usize) -> usize {
    frames * (BOOKS + 1) + 3
}

/// A stretch of a track that is to be refined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub track: usize,
    /// Frames of the track before it, and its own.
    pub start: usize,
    pub len: usize,
}

/// Both tracks of a song, as far as they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracks {
    /// Frames of a block.
    block: usize,
    /// Of the first book, a code a frame.
    pub first: [Vec<u16>; TRACKS],
    /// Of all books.
    pub frames: [Vec<[u16; BOOKS]>; TRACKS],
    /// Frames that are in blocks which were handed out.
    handed: usize,
}

// === impl Tracks ===

impl Tracks {
    /// `block`: frames that are refined together, at least one.
    pub fn new(block: usize) -> Self {
        Self { block, first: Default::default(), frames: Default::default(), handed: 0 }
    }

    /// What is sung, two tokens a frame. What is no code of the first book is the one that the track had most often before.
    pub fn push(&mut self, tokens: &[u32], ids: &SongIds) {
        for frame in tokens.as_chunks::<TRACKS>().0 {
            for (track, token) in self.first.iter_mut().zip(frame) {
                let code = ids.code(*token).unwrap_or_else(|| most_common(track.iter().copied()));
                track.push(code);
            }
        }
    }

    /// Frames that are sung.
    pub fn sung(&self) -> usize {
        self.first[0].len()
    }

    /// Frames that will be refined when all blocks are which are whole; all, if the song is over.
    pub fn refinable(&self, over: bool) -> usize {
        if over { self.sung() } else { self.sung() / self.block * self.block }
    }

    /// Blocks that became whole since; what is left, if the song is over. First those of both tracks that are earliest.
    pub fn hand_out(&mut self, over: bool) -> Vec<Block> {
        let end = self.refinable(over);
        let mut blocks = Vec::new();
        while self.handed < end {
            let (start, len) = (self.handed, self.block.min(end - self.handed));
            blocks.extend((0..TRACKS).map(|track| Block { track, start, len }));
            self.handed += len;
        }
        blocks
    }

    pub fn first_book(&self, block: &Block) -> &[u16] {
        &self.first[block.track][block.start..block.start + block.len]
    }

    /// Takes blocks that were refined, in any order, together all that were handed out.
    pub fn refine(&mut self, mut blocks: Vec<(Block, Vec<[Option<u16>; BOOKS]>)>) {
        blocks.sort_by_key(|(block, _)| block.start);
        for (at, track) in self.frames.iter_mut().enumerate() {
            let own = blocks.iter().filter(|(block, _)| block.track == at);
            let frames: Vec<_> = own.flat_map(|(_, frames)| frames).copied().collect();
            track.extend(repaired(track, &frames));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: SongIds = SongIds { begin: 1, end: 2, xcodec: 3, stage_1: 4, stage_2: 5, codes: 10, of_book: 4 };

    #[test]
    fn tokens_are_of_one_track_and_the_other_in_turn() {
        let mut tracks = Tracks::new(BLOCK);
        tracks.push(&[10, 13, 11, 12, 14, 2, 11, 12, 10], &IDS);
        // The fifth is of the second book, the sixth no code at all, and the last has no partner.
        assert_eq!(tracks.first, [vec![0, 1, 0, 1], vec![3, 2, 3, 2]]);
        assert_eq!(tracks.sung(), 4);
    }

    #[test]
    fn blocks_are_handed_out_when_they_are_whole_and_the_rest_at_the_end() {
        let mut tracks = Tracks::new(BLOCK);
        let sing = |tracks: &mut Tracks, frames: usize| tracks.push(&vec![11; TRACKS * frames], &IDS);
        sing(&mut tracks, BLOCK - 1);
        assert_eq!((tracks.hand_out(false), tracks.refinable(false)), (Vec::new(), 0));
        sing(&mut tracks, 8);
        let block = |track, start, len| Block { track, start, len };
        let both = |start, len| vec![block(0, start, len), block(1, start, len)];
        assert_eq!(tracks.hand_out(false), both(0, BLOCK));
        assert_eq!(tracks.hand_out(false), Vec::new());
        sing(&mut tracks, 5 + BLOCK);
        assert_eq!(tracks.hand_out(true), [both(BLOCK, BLOCK), both(2 * BLOCK, 12)].concat());
    }

    #[test]
    fn blocks_come_back_in_any_order() {
        let mut tracks = Tracks::new(BLOCK);
        let frames = |code: Option<u16>, len: usize| vec![[code; BOOKS]; len];
        let block = |track, start, len| Block { track, start, len };
        tracks.refine(vec![
            (block(1, 2, 1), frames(Some(3), 1)),
            (block(0, 2, 1), frames(None, 1)),
            (block(0, 0, 2), frames(Some(1), 2)),
            (block(1, 0, 2), frames(Some(2), 2)),
        ]);
        let codes = |track: usize| tracks.frames[track].iter().map(|frame| frame[1]).collect::<Vec<_>>();
        assert_eq!((codes(0), codes(1)), (vec![1, 1, 1], vec![2, 2, 3]));
    }
}
