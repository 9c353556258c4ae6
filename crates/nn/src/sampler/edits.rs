//! What may be said next and how likely it is made, as data: decided on the host from what was said, and done to the logits where
//! those are, here or by `gpu/kernels/sample.cu`.

use std::{borrow::Cow, ops::Range};

use super::{
    filters::{keep_min_p, keep_top_k, keep_top_p},
    logits::log_sum_exp,
    repetition::{penalise_each_time, penalise_repetition},
};

/// What is done to a row of logits, in the order of the fields. Ids beyond the vocabulary are passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogitEdits<'a> {
    pub repetition: Option<Repetition<'a>>,
    /// Never said.
    pub masked: Vec<Cow<'a, [u32]>>,
    /// Nor are these.
    pub masked_ranges: Vec<Range<u32>>,
    /// Ids from this one on are times. Where all times together are likelier than the likeliest id below, a time is said.
    pub times_from: Option<u32>,
    pub filters: Option<Filters>,
    /// Where it is to come after the filters.
    pub late_repetition: Option<Repetition<'a>>,
}

/// Tokens that were said, each made less likely.
#[derive(Clone, Debug, PartialEq)]
pub struct Repetition<'a> {
    pub tokens: Cow<'a, [u32]>,
    pub penalty: f32,
    /// As often as it is there, and not once.
    pub each_time: bool,
}

/// What is likely enough to be drawn, in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filters {
    /// Logits are divided by it; 0: by nothing.
    pub temperature: f32,
    pub top_k: usize,
    pub min_p: f32,
    pub top_p: f32,
}

// === impl LogitEdits ===

impl LogitEdits<'_> {
    /// Does it to `logits` `[vocabulary]`.
    pub fn apply(&self, logits: &mut [f32]) {
        self.repetition.iter().for_each(|repetition| repetition.apply(logits));
        for &id in self.masked.iter().flat_map(|ids| ids.iter()) {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        self.masked_ranges.iter().for_each(|ids| mask(logits, ids.clone()));
        if let Some(first) = self.times_from.filter(|first| time_is_likelier(logits, *first)) {
            mask(logits, 0..first);
        }
        self.filters.iter().for_each(|filters| filters.apply(logits));
        self.late_repetition.iter().for_each(|repetition| repetition.apply(logits));
    }
}

// === impl Repetition ===

impl<'a> Repetition<'a> {
    /// `None`: a penalty of 1 is none.
    pub fn new(tokens: impl Into<Cow<'a, [u32]>>, penalty: f32) -> Option<Self> {
        (penalty != 1.0).then(|| Self { tokens: tokens.into(), penalty, each_time: false })
    }

    pub fn each_time(self) -> Self {
        Self { each_time: true, ..self }
    }

    fn apply(&self, logits: &mut [f32]) {
        let tokens = self.tokens.iter().copied();
        match self.each_time {
            true => penalise_each_time(logits, tokens, self.penalty),
            false => penalise_repetition(logits, tokens, self.penalty),
        }
    }
}

// === impl Filters ===

impl Filters {
    fn apply(&self, logits: &mut [f32]) {
        if self.temperature > 0.0 {
            logits.iter_mut().for_each(|logit| *logit /= self.temperature);
        }
        keep_top_k(logits, self.top_k);
        keep_min_p(logits, self.min_p);
        keep_top_p(logits, self.top_p);
    }
}

/// Whether all times together are likelier than the likeliest text.
fn time_is_likelier(logits: &[f32], first: u32) -> bool {
    let (text, times) = logits.split_at(logits.len().min(first as usize));
    log_sum_exp(times) > text.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

fn mask(logits: &mut [f32], ids: Range<u32>) {
    let end = logits.len().min(ids.end as usize);
    let start = end.min(ids.start as usize);
    logits[start..end].fill(f32::NEG_INFINITY);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: f32 = f32::NEG_INFINITY;

    #[test]
    fn a_penalty_comes_before_the_masks_and_unknown_ids_are_passed_over() {
        let mut logits = [2.0, 4.0, -2.0, 1.0, 3.0];
        let edits = LogitEdits {
            repetition: Repetition::new(vec![0, 2, 2, 9], 2.0),
            masked: vec![vec![1, 70].into()],
            masked_ranges: vec![4..u32::MAX, 9..12],
            ..LogitEdits::default()
        };
        edits.apply(&mut logits);
        assert_eq!(logits, [1.0, NEVER, -4.0, 1.0, NEVER]);
    }

    #[test]
    fn a_time_is_said_where_all_times_are_likelier_than_the_likeliest_text() {
        let edited = |logits: [f32; 4]| {
            let mut logits = logits;
            LogitEdits { times_from: Some(2), ..LogitEdits::default() }.apply(&mut logits);
            logits
        };
        assert_eq!(edited([1.0, 0.0, 0.5, 0.5]), [NEVER, NEVER, 0.5, 0.5]);
        assert_eq!(edited([1.0, 0.0, 0.2, 0.2]), [1.0, 0.0, 0.2, 0.2]);
    }

    #[test]
    fn filters_come_after_the_masks_and_a_late_penalty_after_them() {
        let filters = Filters { temperature: 0.5, top_k: 2, min_p: 0.0, top_p: 1.0 };
        let mut logits = [1.0, 2.0, 3.0, 0.0];
        let edits = LogitEdits {
            masked_ranges: vec![2..3, 1..1],
            filters: Some(filters),
            late_repetition: Repetition::new(vec![1], 4.0),
            ..LogitEdits::default()
        };
        edits.apply(&mut logits);
        assert_eq!(logits, [2.0, 1.0, NEVER, NEVER]);
    }
}
