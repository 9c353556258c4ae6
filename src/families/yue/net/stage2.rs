//! The second stage: a block of one track, from the first book of codes to all of them.
//!
//! The model reads the first book of the whole block, and then, frame by frame, is given its code of the first book once more and
//! says those of the seven others, always the likeliest. What it read and said before it remembers.

use candle_core::{Result, Tensor};

use super::super::tokens::{BOOKS, SongIds};
use crate::{
    families::step::{Chooses, Row, choose, step},
    nn::{
        llama::{Llama, Sequence},
        sampler::{Choice, Chooser, Chosen, Pick},
    },
};

/// The weights. Songs share them.
#[derive(Debug)]
pub struct Stage2 {
    /// Its logits are those of [`SongIds::written`] alone: no other token is ever said.
    pub llama: Llama,
    pub ids: SongIds,
    pub chooser: Chooser,
}

/// A block on its way through the network. Its memory goes with it.
#[derive(Debug)]
pub struct Stage2Row {
    sequence: Sequence,
    ids: SongIds,
    /// Of the first book, one a frame.
    first: Vec<u16>,
    /// Given and said, frame by frame.
    pub(super) tokens: Vec<u32>,
    lost: bool,
}

// === impl Stage2 ===

impl Stage2 {
    /// Reads the first book of a block, of which there is at least one frame.
    pub fn admit(&self, first: &[u16]) -> Result<Stage2Row> {
        let ids = self.ids;
        let mut read = vec![ids.begin, ids.stage_1];
        read.extend(first.iter().map(|&code| ids.token(code)));
        read.push(ids.stage_2);
        // The last token is not fed.
        let mut sequence = self.llama.sequence(read.len() + first.len() * BOOKS - 1)?;
        self.llama.read(&read, &mut sequence)?;
        let mut row = Stage2Row { sequence, ids, first: first.to_vec(), tokens: Vec::new(), lost: false };
        row.give();
        Ok(row)
    }

    /// The next token of every row that is not finished. After an error the rows are of no use.
    pub fn step(&self, rows: &mut [&mut Stage2Row]) -> Result<()> {
        step(rows, self.llama.has_kernels(), |rows| choose(&self.chooser, &self.feed(rows)?, rows))
    }

    fn feed(&self, rows: &mut [&mut Stage2Row]) -> Result<Tensor> {
        let tokens: Vec<u32> = rows.iter().filter_map(|row| row.tokens.last().copied()).collect();
        let mut sequences = rows.iter_mut().map(|row| &mut row.sequence).collect::<Vec<_>>();
        self.llama.next(&tokens, &mut sequences)
    }
}

// === impl Stage2Row ===

impl Stage2Row {
    /// All tokens so far, [`BOOKS`] a frame.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Whether every frame is whole.
    pub fn finished(&self) -> bool {
        self.lost || self.tokens.len() >= self.first.len() * BOOKS
    }

    /// The network's numbers were none.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// Codes of every frame; `None` where a token belongs to another book.
    pub fn codes(&self) -> Vec<[Option<u16>; BOOKS]> {
        let code = |book: usize, token: u32| {
            let code = token.checked_sub(self.ids.codes + book as u32 * self.ids.of_book)?;
            u16::try_from(code).ok().filter(|_| code < self.ids.of_book)
        };
        let frames = self.tokens.as_chunks::<BOOKS>().0.iter();
        frames.map(|frame| std::array::from_fn(|book| code(book, frame[book]))).collect()
    }

    /// The first code of the next frame, which is known.
    fn give(&mut self) {
        if self.tokens.len().is_multiple_of(BOOKS)
            && let Some(&code) = self.first.get(self.tokens.len() / BOOKS)
        {
            self.tokens.push(self.ids.token(code));
        }
    }
}

impl Row for Stage2Row {
    fn sequences(&self) -> usize {
        1
    }

    fn is_over(&self) -> bool {
        self.finished()
    }
}

impl Chooses for Stage2Row {
    /// What follows the last book of a frame is known.
    fn choices(&mut self, first: usize) -> Vec<Choice<'_>> {
        let known = self.tokens.len().is_multiple_of(BOOKS);
        Vec::from_iter((!known).then(|| Choice::new(first, Pick::Likeliest(1))))
    }

    fn take(&mut self, chosen: Vec<Chosen>) -> bool {
        match chosen.into_iter().next() {
            None => self.give(),
            Some(chosen) => {
                let token = chosen.iter().flatten().next().map(|sampled| sampled.token);
                self.lost |= token.is_none();
                self.tokens.push(self.ids.written().start + token.unwrap_or(0));
            }
        }
        false
    }
}
