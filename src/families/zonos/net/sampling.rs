//! How a code is chosen from the logits, in the order of the reference: guidance, penalty, and the shape of the probabilities.

use rand::{Rng, rngs::StdRng};

use crate::nn::sampler::{Guidance, GuidanceRule, Pick, Repetition, Shape, Unified};

/// How codes are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0: always the likeliest.
    pub temperature: f32,
    /// Share of the probability that the likeliest codes must have together; 0: all of it.
    pub top_p: f32,
    /// How many of the likeliest codes; 0: all.
    pub top_k: usize,
    /// Codes must be this many times as likely as the likeliest; 0: any.
    pub min_p: f32,
    /// The unified sampler of NovelAI, where it is above 0: how much what is likely counts.
    pub linear: f32,
    /// How much more it counts where the network is unsure.
    pub confidence: f32,
    /// How much what is unlikely is made less likely.
    pub quadratic: f32,
    /// Of codes that were there in the last columns; 1: none.
    pub repetition_penalty: f32,
    /// Columns in which a code counts as repeated.
    pub repetition_window: usize,
    /// How far to go from what would be said without any condition but the text to what is said with all of them
    /// (classifier-free guidance). 1 is no guidance, and half the work.
    pub cfg_scale: f32,
}

impl Default for SamplingOptions {
    /// The reference's.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 0.0,
            top_k: 0,
            min_p: 0.1,
            linear: 0.0,
            confidence: 0.0,
            quadratic: 0.0,
            repetition_penalty: 3.0,
            repetition_window: 2,
            cfg_scale: 2.0,
        }
    }
}

// === impl SamplingOptions ===

impl SamplingOptions {
    /// What is wrong with them: reads well after the name of the option.
    pub fn fault(&self) -> Option<(&'static str, String, &'static str)> {
        let within = |low: f32, value: f32, high: f32| (low..=high).contains(&value);
        let checks = [
            (within(0.0, self.temperature, 10.0), "temperature", self.temperature, "0 to 10"),
            (within(0.0, self.top_p, 1.0), "top_p", self.top_p, "0 to 1"),
            (within(0.0, self.min_p, 1.0), "min_p", self.min_p, "0 to 1"),
            (within(-2.0, self.linear, 2.0), "linear", self.linear, "-2 to 2"),
            (within(-2.0, self.confidence, 2.0), "confidence", self.confidence, "-2 to 2"),
            (within(-2.0, self.quadratic, 2.0), "quadratic", self.quadratic, "-2 to 2"),
            (within(0.1, self.repetition_penalty, 10.0), "repetition_penalty", self.repetition_penalty, "0.1 to 10"),
            (within(1.0, self.cfg_scale, 10.0), "cfg_scale", self.cfg_scale, "1 to 10"),
        ];
        let wrong = checks.into_iter().find(|(good, ..)| !good);
        let wrong = wrong.map(|(_, name, value, expected)| (name, value.to_string(), expected));
        let long = self.repetition_window > 100;
        wrong.or_else(|| long.then(|| ("repetition_window", self.repetition_window.to_string(), "0 to 100")))
    }

    /// Of codes that were there, each as often as it was.
    pub(super) fn repetition<'a>(&self, history: Vec<u32>) -> Option<Repetition<'a>> {
        Repetition::new(history, self.repetition_penalty).map(Repetition::each_time)
    }

    pub(super) fn guidance(&self, untold: usize) -> Guidance {
        Guidance { untold, scale: self.cfg_scale, rule: GuidanceRule::FromUntold }
    }

    /// The likeliest, or one that is drawn.
    pub(super) fn pick(&self, rng: &mut StdRng) -> Pick {
        match self.temperature > 0.0 {
            true => Pick::Shaped { shape: self.shape(), at: rng.random() },
            false => Pick::Likeliest(1),
        }
    }

    pub(super) fn shape(&self) -> Shape {
        let Self { temperature, linear, confidence, quadratic, top_p, top_k, min_p, .. } = *self;
        let unified = (linear > 0.0).then_some(Unified { linear, confidence, quadratic });
        Shape { temperature, unified, top_p, top_k, min_p }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let usual = SamplingOptions::default();
        assert_eq!(usual.fault(), None);
        let fault = |options: SamplingOptions| options.fault().map(|(name, ..)| name);
        assert_eq!(fault(SamplingOptions { temperature: f32::NAN, ..usual }), Some("temperature"));
        assert_eq!(fault(SamplingOptions { cfg_scale: 0.5, ..usual }), Some("cfg_scale"));
        assert_eq!(fault(SamplingOptions { quadratic: 3.0, ..usual }), Some("quadratic"));
        assert_eq!(fault(SamplingOptions { repetition_window: 101, ..usual }), Some("repetition_window"));
    }
}
