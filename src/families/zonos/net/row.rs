//! One request.

use rand::rngs::StdRng;

use super::{
    delay::DelayedCodes,
    sampling::{SamplingOptions, guide},
    sequence::Sequence,
};
use crate::families::{code_speech::FinishReason, step::Row};

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

    /// Takes the logits `[books * logits]` after each of its sequences.
    pub(super) fn take(&mut self, logits: &[Vec<f32>]) {
        let logits = match logits {
            [told, untold] => guide(told, untold, self.options.cfg_scale),
            _ => logits.concat(),
        };
        match self.choose(&logits) {
            None => self.finish = Some(FinishReason::Lost),
            Some(column) => self.push(&column),
        }
    }

    /// The next column.
    fn choose(&mut self, logits: &[f32]) -> Option<Vec<u32>> {
        let each = logits.len() / self.ids.books;
        let mut column = Vec::with_capacity(self.ids.books);
        for (book, logits) in logits.chunks_exact(each).enumerate() {
            let mut logits = logits.to_vec();
            // Of the first column nothing is penalised, and any book may draw what ends only the first one.
            if self.begun && book > 0 {
                logits.iter_mut().skip(self.ids.end as usize).for_each(|logit| *logit = f32::NEG_INFINITY);
            }
            let window = if self.begun { self.options.repetition_window } else { 0 };
            column.push(self.options.choose(logits, self.codes.last(book, window), &mut self.rng)?);
        }
        Some(column)
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
