//! One request.

use std::ops::Range;

use rand::rngs::StdRng;

use super::sampling::SamplingOptions;
use crate::{
    families::{code_speech::FinishReason, step::Row},
    nn::llama::Sequence,
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

    /// The next column.
    fn choose(&mut self, logits: &[f32]) -> Option<Vec<u32>> {
        let CodeIds { books, begin, end, .. } = self.ids;
        let at = self.columns.len() / books;
        let (of_book, ended) = (logits.len() / books, self.ended(at));
        let mut column = Vec::with_capacity(books);
        for (book, logits) in logits.chunks_exact(of_book).enumerate() {
            column.push(if book >= at {
                begin
            } else if book < ended {
                end
            } else {
                let history = self.history(book);
                self.options.choose(logits, history.into_iter(), &mut self.rng)?
            });
        }
        Some(column)
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

    fn take(&mut self, logits: &[Vec<f32>]) {
        match self.choose(&logits.concat()) {
            None => self.finish = Some(FinishReason::Lost),
            Some(column) => self.push(&column),
        }
    }
}
