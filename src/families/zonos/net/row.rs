//! One request.

use rand::rngs::StdRng;

use super::{delay::DelayedCodes, sampling::SamplingOptions, sequence::Sequence};
use crate::{
    families::{
        code_speech::FinishReason,
        step::{Chooses, Row},
    },
    nn::sampler::{Choice, Chosen, LogitEdits, Pick},
};

/// A request on its way through the network. Its memory goes with it.
#[derive(Debug)]
pub struct CodeRow {
    /// With guidance two: one was told every condition, the other the text alone.
    pub(super) sequences: Vec<Sequence>,
    pub(super) options: SamplingOptions,
    pub(super) rng: StdRng,
    pub(super) ids: CodeIds,
    pub(super) codes: DelayedCodes,
    /// Steps that are left.
    remaining: usize,
    /// The column in which the first book ended.
    end: Option<usize>,
    begun: bool,
    finish: Option<FinishReason>,
}

/// Codes, and what is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeIds {
    pub books: usize,
    /// The end; codes are below it.
    pub end: u32,
    /// Nothing.
    pub mask: u32,
}

// === impl CodeIds ===

impl CodeIds {
    /// Logits of a book: one for every code and one for the end.
    pub fn logits(&self) -> usize {
        self.end as usize + 1
    }

    /// Rows of a book's table: one more for nothing.
    pub fn rows(&self) -> usize {
        self.mask as usize + 1
    }

    /// Where the table of all books has the codes of some columns, `[columns, books]`.
    pub fn places(&self, columns: &[u32]) -> Vec<u32> {
        let offset = |at: usize| (at % self.books * self.rows()) as u32;
        columns.iter().enumerate().map(|(at, code)| offset(at) + code).collect()
    }
}

// === impl CodeRow ===

impl CodeRow {
    /// `codes`: what is given of them.
    pub(super) fn new(
        sequences: Vec<Sequence>,
        options: SamplingOptions,
        rng: StdRng,
        ids: CodeIds,
        codes: DelayedCodes,
        new_frames: usize,
    ) -> Self {
        let remaining = new_frames + ids.books - 1;
        Self { sequences, options, rng, ids, codes, remaining, end: None, begun: false, finish: None }
    }

    /// Frames that are final, without those that were given.
    pub fn frames(&self) -> usize {
        let there = self.codes.frames();
        // Of the frame in whose column the first book ended there is no first code.
        self.end.map_or(there, |end| there.min(end - 1)).saturating_sub(self.codes.given())
    }

    /// The codes of some of them, `[frames, books]`. What is no code is 0, as in the reference.
    pub fn codes(&self, frames: std::ops::Range<usize>) -> Vec<u32> {
        let given = self.codes.given();
        let code = |code: u32| if code < self.ids.end { code } else { 0 };
        frames.flat_map(|frame| self.codes.frame(given + frame)).map(code).collect()
    }

    /// `None`: takes part in the next step.
    pub fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    pub fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The last column.
    pub(super) fn last(&self) -> &[u32] {
        self.codes.column(self.codes.len() - 1)
    }

    /// Of the first column nothing is penalised, and any book may draw what ends only the first one.
    fn edits(&self, book: usize) -> LogitEdits<'static> {
        if !self.begun {
            return LogitEdits::default();
        }
        let history = self.codes.last(book, self.options.repetition_window).collect();
        let masked_ranges = (book > 0).then_some(self.ids.end..u32::MAX).into_iter().collect();
        LogitEdits { repetition: self.options.repetition(history), masked_ranges, ..LogitEdits::default() }
    }

    fn push(&mut self, column: &[u32]) {
        let mut column = column.to_vec();
        if self.begun {
            self.stop(&mut column);
            self.remaining = self.remaining.saturating_sub(1);
        }
        self.begun = true;
        self.codes.push(&column);
        if self.remaining == 0 || self.codes.is_full() {
            self.finish = Some(if self.end.is_some() { FinishReason::Stopped } else { FinishReason::Full });
        }
    }

    /// Once the first book ended the others follow, one a step.
    fn stop(&mut self, column: &mut [u32]) {
        let CodeIds { books, end, mask } = self.ids;
        if column.first() == Some(&end) {
            self.remaining = self.remaining.min(books);
            self.end.get_or_insert(self.codes.len());
        }
        if self.end.is_some() {
            let ending = books.saturating_sub(self.remaining).min(books - 1);
            column[..ending].fill(mask);
            column[ending] = end;
        }
    }
}

impl Row for CodeRow {
    fn sequences(&self) -> usize {
        self.sequences.len()
    }

    fn is_over(&self) -> bool {
        self.finished()
    }
}

impl Chooses for CodeRow {
    /// A code of each book. The rows of the second sequence come after those of the first.
    fn choices(&mut self, first: usize) -> Vec<Choice<'_>> {
        let (books, guided) = (self.ids.books, self.sequences.len() > 1);
        let picks: Vec<_> = (0..books).map(|_| self.options.pick(&mut self.rng)).collect();
        let choice = |(book, pick): (usize, Pick)| {
            let guidance = guided.then(|| self.options.guidance(first + books + book));
            Choice::new(first + book, pick).with_guidance(guidance).with_edits(self.edits(book))
        };
        picks.into_iter().enumerate().map(choice).collect()
    }

    fn take(&mut self, chosen: Vec<Chosen>) -> bool {
        let code = |chosen: Chosen| chosen?.first().map(|sampled| sampled.token);
        match chosen.into_iter().map(code).collect::<Option<Vec<u32>>>() {
            None => self.finish = Some(FinishReason::Lost),
            Some(column) => self.push(&column),
        }
        false
    }
}
