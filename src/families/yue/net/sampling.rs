//! How a token of the first stage is chosen from the logits, in the order of the reference: guidance, penalty, what is blocked,
//! temperature, and the likeliest.

use crate::nn::sampler::{Filters, LogitEdits, Repetition};

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0: always the likeliest.
    pub temperature: f32,
    /// How many of the likeliest tokens; 0: all.
    pub top_k: usize,
    /// Share of the probability that the likeliest tokens must have together; 1: all of it.
    pub top_p: f32,
    /// Of tokens that were read or sung before; 1: none.
    pub repetition_penalty: f32,
}

impl Default for SamplingOptions {
    /// As the reference's script has them, and where that says nothing, the library that it calls.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 50, top_p: 0.93, repetition_penalty: 1.1 }
    }
}

// === impl SamplingOptions ===

impl SamplingOptions {
    /// What is wrong with them: reads well after the name of the option.
    pub fn fault(&self) -> Option<(&'static str, f32, &'static str)> {
        let checks = [
            ((0.0..=10.0).contains(&self.temperature), "temperature", self.temperature, "0 to 10"),
            ((0.0..=1.0).contains(&self.top_p) && self.top_p > 0.0, "top_p", self.top_p, "above 0, to 1,"),
            ((1.0..=10.0).contains(&self.repetition_penalty), "repetition_penalty", self.repetition_penalty, "1 to 10"),
        ];
        let wrong = checks.into_iter().find(|(good, ..)| !good);
        wrong.map(|(_, name, value, expected)| (name, value, expected))
    }

    /// What is drawn from. Without a temperature nothing is left out: the likeliest is the likeliest. `before`: tokens that are
    /// penalised.
    pub(super) fn edits<'a>(&self, before: &'a [u32], blocked: Blocked) -> LogitEdits<'a> {
        let Self { temperature, top_k, top_p, repetition_penalty } = *self;
        let Blocked { below, next } = blocked;
        LogitEdits {
            repetition: Repetition::new(before, repetition_penalty),
            masked_ranges: vec![0..below, below..below + u32::from(next)],
            filters: (temperature > 0.0).then_some(Filters { temperature, top_k, min_p: 0.0, top_p }),
            ..LogitEdits::default()
        }
    }
}

/// Tokens that are never chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocked {
    pub below: u32,
    /// And the next one, which ends a section.
    pub next: bool,
}
