//! One request.

use std::ops::Range;

use rand::rngs::StdRng;

use super::sampling::SamplingOptions;
use crate::{
    families::{
        code_speech::FinishReason,
        step::{Chooses, Row},
    },
    nn::{
        llama::Sequence,
        sampler::{Choice, Chosen, Pick},
    },
};

/// A request on its way through the network. Its memory goes with it.
#[derive(Debug)]
pub struct HiggsRow {
    pub(super) sequence: Sequence,
    options: SamplingOptions,
    rng: StdRng,
    ids: CodeIds,
    /// The last columns of recordings before its own, `[columns, books]`: what was said there counts as said.
    before: Vec<u32>,
    /// `[columns, books]`, the first of which is of beginnings alone.
    columns: Vec<u32>,
    /// Of the next column, what was chosen so far.
    next: Vec<u32>,
    /// The code of the book after those is drawn from all: the likely one was there too often.
    again: bool,
    /// Columns that there may be.
    most: usize,
    /// The column in which the first book ended, any of them.
    ending: Option<usize>,
    /// Frames that are final.
    frames: usize,
    /// A frame has an end in it: it is none, and nothing after it is.
    complete: bool,
    finish: Option<FinishReason>,
}

/// Codes, and what is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeIds {
    pub books: usize,
    /// Codes are below this.
    pub codes: u32,
    /// Of a stream.
    pub begin: u32,
    pub end: u32,
}

// === impl CodeIds ===

impl CodeIds {
    /// Logits of a book.
    pub fn of_book(&self) -> usize {
        self.begin.max(self.end) as usize + 1
    }
}

// === impl HiggsRow ===

impl HiggsRow {
    pub(super) fn new(
        sequence: Sequence,
        options: SamplingOptions,
        rng: StdRng,
        ids: CodeIds,
        before: Vec<u32>,
        new_frames: usize,
    ) -> Self {
        // A column of beginnings, and one for each frame and for each book that is late.
        let most = new_frames + ids.books;
        Self {
            sequence,
            options,
            rng,
            ids,
            before,
            columns: Vec::new(),
            next: Vec::new(),
            again: false,
            most,
            ending: None,
            frames: 0,
            complete: false,
            finish: None,
        }
    }

    /// Frames that are final.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The codes of some of them, `[frames, books]`. What is no code is the last one, as in the reference.
    pub fn codes(&self, frames: Range<usize>) -> Vec<u32> {
        let books = self.ids.books;
        let code = |frame: usize, book: usize| self.columns[(frame + book + 1) * books + book];
        frames.flat_map(|frame| (0..books).map(move |book| code(frame, book).min(self.ids.codes - 1))).collect()
    }

    /// `None`: takes part in the next step.
    pub fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    pub fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// All columns so far, `[columns, books]`.
    #[cfg(test)]
    pub(super) fn columns(&self) -> &[u32] {
        &self.columns
    }

    /// The last column.
    pub(super) fn last(&self) -> &[u32] {
        &self.columns[self.columns.len().saturating_sub(self.ids.books)..]
    }

    /// Books whose next code is the end: once one ended, all follow, one a column.
    fn ended(&self, column: usize) -> usize {
        self.ending.map_or(0, |ending| column - ending)
    }

    /// Of one book, codes of the last columns.
    fn history(&self, book: usize) -> Vec<u32> {
        let CodeIds { books, begin, end, .. } = self.ids;
        let of_book = |columns: &[u32]| -> Vec<u32> { columns.iter().skip(book).step_by(books).copied().collect() };
        let (own, before) = (of_book(&self.columns), of_book(&self.before));
        let last = own.into_iter().rev().chain(before.into_iter().rev()).take(self.options.ras_window);
        last.filter(|code| *code != begin && *code != end).collect()
    }

    /// The code of a book in the next column where that is no matter of choice: of those that are late, and of those that ended.
    fn given(&self, book: usize) -> Option<u32> {
        let CodeIds { books, begin, end, .. } = self.ids;
        let at = self.columns.len() / books;
        if book >= at { Some(begin) } else { (book < self.ended(at)).then_some(end) }
    }

    /// Of the next column what comes before the next choice.
    fn take_given(&mut self) {
        while self.next.len() < self.ids.books
            && let Some(code) = self.given(self.next.len())
        {
            self.next.push(code);
        }
    }

    fn pick(&self, again: bool, rng: &mut StdRng) -> Pick {
        Pick::one(if again || self.options.temperature > 0.0 { 1.0 } else { 0.0 }, rng)
    }

    pub(super) fn push(&mut self, column: &[u32]) {
        let CodeIds { books, end, .. } = self.ids;
        let at = self.columns.len() / books;
        self.columns.extend(column);
        if column.contains(&end) {
            self.ending.get_or_insert(at);
        }
        while !self.complete && self.frames + books < self.columns.len() / books {
            let frame = (0..books).map(|book| self.columns[(self.frames + book + 1) * books + book]);
            self.complete = frame.into_iter().any(|code| code == end);
            self.frames += usize::from(!self.complete);
        }
        if column.iter().all(|code| *code == end) {
            self.finish = Some(FinishReason::Stopped);
        } else if at + 1 >= self.most {
            self.finish = Some(FinishReason::Full);
        }
    }
}

impl Row for HiggsRow {
    fn sequences(&self) -> usize {
        1
    }

    fn is_over(&self) -> bool {
        self.finished()
    }
}

impl Chooses for HiggsRow {
    /// Of all books that are left, as if none of their codes had been there too often: numbers are drawn one after the other.
    fn choices(&mut self, first: usize) -> Vec<Choice<'_>> {
        self.take_given();
        let mut rng = self.rng.clone();
        let books = (self.next.len()..self.ids.books).filter(|book| self.given(*book).is_none());
        let choice = |(at, book): (usize, usize)| {
            let again = self.again && at == 0;
            let choice = Choice::new(first + book, self.pick(again, &mut rng));
            if again { choice } else { choice.with_edits(self.options.edits()) }
        };
        books.enumerate().map(choice).collect()
    }

    fn take(&mut self, chosen: Vec<Chosen>) -> bool {
        for chosen in chosen {
            let Some(code) = chosen.iter().flatten().next().map(|sampled| sampled.token) else {
                self.finish = Some(FinishReason::Lost);
                return false;
            };
            // As many numbers as were drawn for it.
            let mut rng = self.rng.clone();
            self.pick(self.again, &mut rng);
            self.rng = rng;
            self.again = !self.again && self.options.draws_again(code, &self.history(self.next.len()));
            if self.again {
                return true;
            }
            self.next.push(code);
            self.take_given();
        }
        let column = std::mem::take(&mut self.next);
        self.push(&column);
        false
    }
}
