//! How a code is chosen from the logits.

use crate::nn::sampler::{Filters, LogitEdits};

/// How codes are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0: always the likeliest.
    pub temperature: f32,
    /// How many of the likeliest codes; 0: all.
    pub top_k: usize,
    /// Share of the probability that the likeliest codes must have together; 1: all of it.
    pub top_p: f32,
    /// Columns in which a code counts as repeated (repetition-aware sampling, Chen et al., arXiv 2406.05370); 0: none.
    pub ras_window: usize,
    /// As often as this, and another is drawn from all codes as likely as they are. Beginnings and ends do not count.
    pub ras_repeats: usize,
}

impl Default for SamplingOptions {
    /// Of Boson's server, with the cuts of its examples.
    fn default() -> Self {
        Self { temperature: 0.7, top_k: 50, top_p: 0.95, ras_window: 7, ras_repeats: 2 }
    }
}

// === impl SamplingOptions ===

impl SamplingOptions {
    /// What is wrong with them: reads well after the name of the option.
    pub fn fault(&self) -> Option<(&'static str, String, &'static str)> {
        let checks = [
            ((0.0..=10.0).contains(&self.temperature), "temperature", self.temperature.to_string(), "0 to 10"),
            ((0.0..=1.0).contains(&self.top_p) && self.top_p > 0.0, "top_p", self.top_p.to_string(), "above 0, to 1,"),
            (self.ras_window <= 100, "ras_window", self.ras_window.to_string(), "0 to 100"),
            ((1..=100).contains(&self.ras_repeats), "ras_repeats", self.ras_repeats.to_string(), "1 to 100"),
        ];
        let wrong = checks.into_iter().find(|(good, ..)| !good);
        wrong.map(|(_, name, value, expected)| (name, value, expected))
    }

    /// What is done to the logits of a book before a code is picked. Without a temperature nothing is left out: the likeliest is
    /// the likeliest.
    pub(super) fn edits(&self) -> LogitEdits<'static> {
        let Self { temperature, top_k, top_p, .. } = *self;
        let filters = Filters { temperature, top_k, min_p: 0.0, top_p };
        LogitEdits { filters: (temperature > 0.0).then_some(filters), ..LogitEdits::default() }
    }

    /// Whether another code is to be drawn in the place of this one. `history`: codes of the last columns that count as repeated.
    pub(super) fn draws_again(&self, code: u32, history: &[u32]) -> bool {
        self.ras_window > 0 && history.iter().filter(|before| **before == code).count() >= self.ras_repeats
    }
}
