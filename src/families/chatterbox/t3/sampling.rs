//! How a speech token is chosen from the logits.

use rand::rngs::StdRng;

use crate::nn::sampler::{keep_min_p, keep_top_k, keep_top_p, penalise_repetition, sample};

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0: always the likeliest.
    pub temperature: f32,
    /// Tokens must be this many times as likely as the likeliest; 0: any.
    pub min_p: f32,
    /// Share of the probability that the likeliest tokens must have together; 1: all of it.
    pub top_p: f32,
    /// How many of the likeliest tokens; 0: all.
    pub top_k: usize,
    /// Of tokens that were spoken before; 1: none.
    pub repetition_penalty: f32,
    /// How far to go from what would be said without the text to what is said with it (classifier-free guidance). 0 is no
    /// guidance, and half the work. GPT-2 models have none.
    pub cfg_weight: f32,
}

/// When repetition is penalised. The models' references differ in this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PenaltyOrder {
    BeforeFilters,
    AfterFilters,
}

// === impl SamplingOptions ===

impl SamplingOptions {
    /// The reference's of the English and the multilingual model.
    pub const LLAMA: Self =
        Self { temperature: 0.8, min_p: 0.05, top_p: 1.0, top_k: 0, repetition_penalty: 1.2, cfg_weight: 0.5 };

    /// The reference's of Turbo and Nano.
    pub const GPT2: Self =
        Self { temperature: 0.8, min_p: 0.0, top_p: 0.95, top_k: 1000, repetition_penalty: 1.2, cfg_weight: 0.0 };

    /// What is wrong with them: reads well after the name of the option.
    pub fn fault(&self) -> Option<(&'static str, f32, &'static str)> {
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let finite = |x: f32| x >= 0.0 && x.is_finite();
        let checks = [
            (finite(self.temperature), "temperature", self.temperature, "0 or more"),
            (share(self.min_p), "min_p", self.min_p, "from 0 to 1"),
            (share(self.top_p), "top_p", self.top_p, "from 0 to 1"),
            (
                finite(self.repetition_penalty) && self.repetition_penalty > 0.0,
                "repetition_penalty",
                self.repetition_penalty,
                "more than 0",
            ),
            (finite(self.cfg_weight), "cfg_weight", self.cfg_weight, "0 or more"),
        ];
        let wrong = checks.into_iter().find(|(good, ..)| !good);
        wrong.map(|(_, name, value, expected)| (name, value, expected))
    }

    /// The next token, if the logits are a distribution. `history`: tokens whose repetition is penalised.
    pub(super) fn choose(
        &self,
        mut logits: Vec<f32>,
        history: &[u32],
        order: PenaltyOrder,
        rng: &mut StdRng,
    ) -> Option<u32> {
        self.process(&mut logits, history, order);
        let temperature = if self.temperature > 0.0 { 1.0 } else { 0.0 };
        sample(&logits, temperature, rng).map(|sampled| sampled.token)
    }

    /// From the network's logits to those that are drawn from.
    pub(super) fn process(&self, logits: &mut [f32], history: &[u32], order: PenaltyOrder) {
        let penalise = |logits: &mut [f32]| {
            if self.repetition_penalty != 1.0 {
                penalise_repetition(logits, history.iter().copied(), self.repetition_penalty);
            }
        };
        if order == PenaltyOrder::BeforeFilters {
            penalise(logits);
        }
        if self.temperature > 0.0 {
            logits.iter_mut().for_each(|logit| *logit /= self.temperature);
        }
        keep_top_k(logits, self.top_k);
        keep_min_p(logits, self.min_p);
        keep_top_p(logits, self.top_p);
        if order == PenaltyOrder::AfterFilters {
            penalise(logits);
        }
    }
}

/// `told + weight * (told - untold)`: logits of the sequence that was told the text, led away from those of the one that
/// was not.
pub(super) fn guide(told: &[f32], untold: &[f32], weight: f32) -> Vec<f32> {
    told.iter().zip(untold).map(|(told, untold)| told + weight * (told - untold)).collect()
}
