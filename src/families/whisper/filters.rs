//! What the decoder may not say next: pure functions of what it said. Rules of openai-whisper, `decoding.py`.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::nn::sampler::{LogitEdits, Repetition};

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
    /// What is never said after `made` tokens.
    pub fn edits(&self, made: &[u32], timestamps: bool) -> LogitEdits<'_> {
        let begin = if made.is_empty() { self.begin_suppress.as_slice() } else { &[] };
        let mut edits =
            LogitEdits { masked: vec![self.suppress.as_slice().into(), begin.into()], ..LogitEdits::default() };
        if timestamps {
            edits.masked_ranges = self.times.masked(made);
            edits.times_from = Some(self.times.first);
        }
        edits
    }
}

// === impl RepetitionRules ===

impl RepetitionRules {
    /// Adds to `edits` what `made` tokens make less likely, or rule out.
    pub fn extend<'a>(&self, edits: &mut LogitEdits<'a>, made: &'a [u32]) {
        edits.repetition = Repetition::new(made, self.penalty);
        let Some(before) = self.no_repeat_ngram_size.checked_sub(1) else { return };
        let last = &made[made.len().saturating_sub(before)..];
        let rows = made.windows(self.no_repeat_ngram_size).filter(|row| row.starts_with(last));
        edits.masked.push(rows.map(|row| row[before]).collect::<Vec<_>>().into());
    }
}

// === impl TimestampRules ===

impl TimestampRules {
    /// Ids that are never said after `made` tokens.
    fn masked(&self, made: &[u32]) -> Vec<Range<u32>> {
        let mut masked = vec![self.no_timestamps..self.no_timestamps + 1, self.last + 1..u32::MAX];
        masked.extend(self.pairs(made));
        masked.extend(self.order(made));
        if made.is_empty() {
            let latest = self.first.saturating_add(self.max_initial as u32);
            masked.extend([0..self.first, latest.saturating_add(1)..u32::MAX]);
        }
        masked
    }

    /// Times come in pairs, an end and a start, except first and last.
    fn pairs(&self, made: &[u32]) -> Option<Range<u32>> {
        match self.last_two(made) {
            (true, true) => Some(self.first..u32::MAX),
            (true, false) => Some(0..self.end),
            (false, _) => None,
        }
    }

    /// Times do not decrease, and no segment is empty: without that the decoder could go in circles.
    fn order(&self, made: &[u32]) -> Option<Range<u32>> {
        let latest = *made.iter().rev().find(|id| **id >= self.first)?;
        let may_repeat = self.last_two(made) == (true, false);
        Some(self.first..if may_repeat { latest } else { latest + 1 })
    }

    /// Whether the last token is a time, and the one before it (where there is none, it counts as one).
    fn last_two(&self, made: &[u32]) -> (bool, bool) {
        let is_time = |back: usize| made.len().checked_sub(back).map(|index| made[index] >= self.first);
        (is_time(1).unwrap_or(false), is_time(2).unwrap_or(true))
    }
}
