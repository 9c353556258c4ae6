//! One request.

use rand::rngs::StdRng;

use super::sampling::{PenaltyOrder, SamplingOptions};
use crate::{
    families::step::{Chooses, Row},
    nn::{
        llama::Sequence,
        sampler::{Choice, Chosen, Guidance, GuidanceRule, Pick},
    },
};

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

    /// Of the next token, from logits of which the first are in row `first`. With guidance they are those of the sequence that was
    /// told the text, led away from those of the one that was not.
    pub(super) fn choice(&self, first: usize, pick: Pick) -> Choice<'static> {
        let guidance = Guidance { untold: first + 1, scale: self.options.cfg_weight, rule: GuidanceRule::FromTold };
        Choice::new(first, pick)
            .with_guidance((self.sequences.len() > 1).then_some(guidance))
            .with_edits(self.options.edits(self.history(), self.order))
    }

    /// What may be repeated. The start token is part of it; in Turbo's reference only until there is another.
    fn history(&self) -> Vec<u32> {
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
}

impl Chooses for T3Row {
    fn choices(&mut self, first: usize) -> Vec<Choice<'_>> {
        // The logits were divided by the temperature.
        let pick = Pick::one(if self.options.temperature > 0.0 { 1.0 } else { 0.0 }, &mut self.rng);
        vec![self.choice(first, pick)]
    }

    fn take(&mut self, chosen: Vec<Chosen>) -> bool {
        match chosen.into_iter().flatten().flatten().next().map(|sampled| sampled.token) {
            None => self.finish = Some(FinishReason::Lost),
            Some(token) if token == self.stop => self.finish = Some(FinishReason::Stopped),
            Some(token) => self.push(token),
        }
        false
    }
}
