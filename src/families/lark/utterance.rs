//! One sentence on its way to sound.

use std::ops::Range;

use super::{config::Signal, error::LarkError, networks::Networks, plan::Plan, vocoder::Vocoder};
use crate::speech::Mark;

/// Steps of the first block: the fewer, the sooner the first sound.
const FIRST: usize = 24;

/// Steps of the blocks after it.
const BLOCK: usize = 96;

/// The blocks of a sentence's sound, made as they are asked for.
#[derive(Debug)]
pub struct Utterance<'a> {
    net: &'a Networks,
    plan: Plan,
    vocoder: Vocoder,
    /// Steps so far.
    step: usize,
    /// Where the words lie, in seconds.
    marks: Vec<Mark>,
}

// === impl Utterance ===

impl<'a> Utterance<'a> {
    pub(super) fn new(net: &'a Networks, plan: Plan, signal: &Signal, seed: u64, marks: Vec<Mark>) -> Self {
        let vocoder = Vocoder::new(signal, &plan.f0, seed);
        Self { net, plan, vocoder, step: 0, marks }
    }

    /// Steps of each symbol, silence at both ends among them.
    #[cfg(test)]
    pub fn lengths(&self) -> &[usize] {
        &self.plan.lengths
    }

    pub fn into_marks(self) -> Vec<Mark> {
        self.marks
    }

    fn block(&mut self, steps: Range<usize>) -> Result<Vec<f32>, LarkError> {
        let bands = self.net.decode(&self.plan, steps.clone())?;
        let mut samples = Vec::new();
        self.vocoder.push(&bands, &mut samples);
        if steps.end == self.plan.steps() {
            self.vocoder.finish(&mut samples);
        }
        Ok(samples)
    }
}

impl Iterator for Utterance<'_> {
    type Item = Result<Vec<f32>, LarkError>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = if self.step == 0 { FIRST } else { BLOCK };
        let steps = self.step..(self.step + size).min(self.plan.steps());
        self.step = steps.end;
        (!steps.is_empty()).then(|| self.block(steps))
    }
}
