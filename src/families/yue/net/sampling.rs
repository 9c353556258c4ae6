//! How a token of the first stage is chosen from the logits, in the order of the reference: guidance, penalty, what is blocked,
//! temperature, and the likeliest.

use rand::rngs::StdRng;

use crate::nn::sampler::{keep_top_k, keep_top_p, log_sum_exp, penalise_repetition, sample};

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

    /// The next token; `None`: the scores are no distribution.
    pub fn choose(&self, scores: &[f32], rng: &mut StdRng) -> Option<u32> {
        let temperature = if self.temperature > 0.0 { 1.0 } else { 0.0 };
        sample(&self.kept(scores), temperature, rng).map(|sampled| sampled.token)
    }

    /// What is drawn from. Without a temperature nothing is left out: the likeliest is the likeliest.
    pub(super) fn kept(&self, scores: &[f32]) -> Vec<f32> {
        if self.temperature <= 0.0 {
            return scores.to_vec();
        }
        let mut kept: Vec<f32> = scores.iter().map(|score| score / self.temperature).collect();
        keep_top_k(&mut kept, self.top_k);
        keep_top_p(&mut kept, self.top_p);
        kept
    }

    /// From the logits of all sequences to scores: `told` read everything, `untold` only what came after. `blocked`: tokens below
    /// this are never chosen; `ends`: nor is that, where the section is too short to end.
    pub(super) fn scores(
        &self,
        told: &[f32],
        untold: Option<&[f32]>,
        guidance: f32,
        before: impl IntoIterator<Item = u32>,
        blocked: Blocked,
    ) -> Vec<f32> {
        let mut scores = guided(told, untold, guidance);
        if self.repetition_penalty != 1.0 {
            penalise_repetition(&mut scores, before, self.repetition_penalty);
        }
        let count = (blocked.below as usize + usize::from(blocked.next)).min(scores.len());
        scores[..count].fill(f32::NEG_INFINITY);
        scores
    }
}

/// Tokens that are never chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocked {
    pub below: u32,
    /// And the next one, which ends a section.
    pub next: bool,
}

/// Classifier-free guidance (Ho and Salimans, arXiv 2207.12598) on logarithms of probabilities, as `transformers` has it.
fn guided(told: &[f32], untold: Option<&[f32]>, guidance: f32) -> Vec<f32> {
    let Some(untold) = untold else { return told.to_vec() };
    let (of_told, of_untold) = (log_sum_exp(told), log_sum_exp(untold));
    let both = told.iter().zip(untold);
    both.map(|(told, untold)| {
        let (told, untold) = (told - of_told, untold - of_untold);
        guidance * (told - untold) + untold
    })
    .collect()
}
