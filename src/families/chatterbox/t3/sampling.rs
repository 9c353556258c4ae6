//! How a speech token is chosen from the logits.

use crate::nn::sampler::{Filters, LogitEdits, Repetition};

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

    /// What is done to the network's logits before a token is picked. `history`: tokens whose repetition is penalised.
    pub(super) fn edits(&self, history: Vec<u32>, order: PenaltyOrder) -> LogitEdits<'static> {
        let Self { temperature, min_p, top_p, top_k, repetition_penalty, .. } = *self;
        let filters = Some(Filters { temperature, top_k, min_p, top_p });
        let repetition = Repetition::new(history, repetition_penalty);
        match order {
            PenaltyOrder::BeforeFilters => LogitEdits { repetition, filters, ..LogitEdits::default() },
            PenaltyOrder::AfterFilters => LogitEdits { late_repetition: repetition, filters, ..LogitEdits::default() },
        }
    }
}
