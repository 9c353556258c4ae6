//! One request.

use rand::rngs::StdRng;

use super::{
    sampling::{PenaltyOrder, SamplingOptions, guide},
    sequence::Sequence,
};
use crate::families::step::Row;

/// A request on its way through T3. Its memory goes with it.
#[derive(Debug)]
pub struct T3Row {
    /// With guidance two: one was told the text, the other was not.
    pub(super) sequences: Vec<Sequence>,
    pub(super) options: SamplingOptions,
    pub(super) order: PenaltyOrder,
    pub(super) rng: StdRng,
    pub(super) start: u32,
    pub(super) stop: u32,
    pub(super) max_new_tokens: usize,
    pub(super) tokens: Vec<u32>,
    pub(super) finish: Option<FinishReason>,
}

/// Why a row will get no more tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model said that it is done.
    Stopped,
    /// As many tokens as were allowed.
    Full,
    /// The network's numbers were no distribution to draw from.
    Lost,
}

// === impl T3Row ===

impl T3Row {
    /// So far, without start and stop. Those that are not codes of speech are no sound.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// `None`: takes part in the next step.
    pub fn finish(&self) -> Option<FinishReason> {
        self.finish
    }

    pub fn finished(&self) -> bool {
        self.finish.is_some()
    }

    fn push(&mut self, token: u32) {
        self.tokens.push(token);
        if self.tokens.len() >= self.max_new_tokens {
            self.finish = Some(FinishReason::Full);
        }
    }

    /// What may be repeated. The start token is part of it; in Turbo's reference only until there is another.
    pub(super) fn history(&self) -> Vec<u32> {
        match self.order {
            PenaltyOrder::AfterFilters if !self.tokens.is_empty() => self.tokens.clone(),
            _ => [&[self.start], self.tokens.as_slice()].concat(),
        }
    }
}

impl Row for T3Row {
    fn sequences(&self) -> usize {
        self.sequences.len()
    }

    fn is_over(&self) -> bool {
        self.finished()
    }

    fn take(&mut self, logits: &[Vec<f32>]) {
        let logits = match logits {
            [told, untold] => guide(told, untold, self.options.cfg_weight),
            _ => logits.concat(),
        };
        let history = self.history();
        match self.options.choose(logits, &history, self.order, &mut self.rng) {
            None => self.finish = Some(FinishReason::Lost),
            Some(token) if token == self.stop => self.finish = Some(FinishReason::Stopped),
            Some(token) => self.push(token),
        }
    }
}
