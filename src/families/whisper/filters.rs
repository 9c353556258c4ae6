//! What the decoder may not say next: pure functions on one row of logits. Rules of openai-whisper, `decoding.py`.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::nn::sampler::{log_sum_exp, penalise_repetition};

/// Every rule of one model.
#[derive(Clone, Debug)]
pub struct LogitFilters {
    /// Never made.
    pub suppress: Vec<u32>,
    /// Never made first.
    pub begin_suppress: Vec<u32>,
    pub times: TimestampRules,
}

/// What a caller has against repetition. Rules of CTranslate2.
#[derive(Clone, Debug, PartialEq)]
pub struct RepetitionRules {
    /// What the logits of tokens that were made are divided by; 1: nothing.
    pub penalty: f32,
    /// Of so many tokens in a row none comes twice; 0: all may.
    pub no_repeat_ngram_size: usize,
}

/// Where the timestamps are among the ids, and how late they may be.
#[derive(Clone, Debug)]
pub struct TimestampRules {
    /// Ids below are text.
    pub end: u32,
    /// Never made by these rules: it says that no times follow.
    pub no_timestamps: u32,
    /// 0.00 s.
    pub first: u32,
    /// The end of the window.
    pub last: u32,
    /// In steps; the latest that may come first.
    pub max_initial: usize,
}

// === impl LogitFilters ===

impl LogitFilters {
    /// Masks `logits` `[vocabulary]` with negative infinity, after `made` tokens.
    pub fn apply(&self, logits: &mut [f32], made: &[u32], timestamps: bool) {
        if made.is_empty() {
            mask_all(logits, &self.begin_suppress);
        }
        mask_all(logits, &self.suppress);
        if timestamps {
            self.times.apply(logits, made);
        }
    }
}

// === impl RepetitionRules ===

impl RepetitionRules {
    pub fn apply(&self, logits: &mut [f32], made: &[u32]) {
        if self.penalty != 1.0 {
            penalise_repetition(logits, made.iter().copied(), self.penalty);
        }
        let Some(before) = self.no_repeat_ngram_size.checked_sub(1) else { return };
        let last = &made[made.len().saturating_sub(before)..];
        for row in made.windows(self.no_repeat_ngram_size).filter(|row| row.starts_with(last)) {
            mask_all(logits, &row[before..]);
        }
    }
}

// === impl TimestampRules ===

impl TimestampRules {
    fn apply(&self, logits: &mut [f32], made: &[u32]) {
        mask_all(logits, &[self.no_timestamps]);
        mask(logits, self.last + 1..u32::MAX);
        self.pairs(logits, made);
        self.order(logits, made);
        if made.is_empty() {
            mask(logits, 0..self.first);
            mask(logits, self.first.saturating_add(self.max_initial as u32).saturating_add(1)..u32::MAX);
        }
        if self.time_is_likelier(logits) {
            mask(logits, 0..self.first);
        }
    }

    /// Times come in pairs, an end and a start, except first and last.
    fn pairs(&self, logits: &mut [f32], made: &[u32]) {
        match self.last_two(made) {
            (true, true) => mask(logits, self.first..u32::MAX),
            (true, false) => mask(logits, 0..self.end),
            (false, _) => {}
        }
    }

    /// Times do not decrease, and no segment is empty: without that the decoder could go in circles.
    fn order(&self, logits: &mut [f32], made: &[u32]) {
        let Some(latest) = made.iter().rev().find(|id| **id >= self.first) else { return };
        let may_repeat = self.last_two(made) == (true, false);
        mask(logits, self.first..if may_repeat { *latest } else { latest + 1 });
    }

    /// Whether the last token is a time, and the one before it (where there is none, it counts as one).
    fn last_two(&self, made: &[u32]) -> (bool, bool) {
        let is_time = |back: usize| made.len().checked_sub(back).map(|index| made[index] >= self.first);
        (is_time(1).unwrap_or(false), is_time(2).unwrap_or(true))
    }

    /// Whether all times together are likelier than the likeliest text.
    fn time_is_likelier(&self, logits: &[f32]) -> bool {
        let (text, times) = logits.split_at(logits.len().min(self.first as usize));
        log_sum_exp(times) > greatest(text)
    }
}

fn greatest(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

fn mask_all(logits: &mut [f32], ids: &[u32]) {
    for id in ids {
        if let Some(logit) = logits.get_mut(*id as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

fn mask(logits: &mut [f32], ids: Range<u32>) {
    let end = logits.len().min(ids.end as usize);
    let start = end.min(ids.start as usize);
    logits[start..end].fill(f32::NEG_INFINITY);
}
