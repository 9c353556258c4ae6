//! How a code is chosen from the logits, stage by stage as in the reference.

use rand::{Rng, rngs::StdRng};

use crate::nn::sampler::argmax;

/// Probabilities are not counted below this, where their logarithm is taken.
const LEAST: f32 = 1e-20;

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

    /// The next code, if the logits are a distribution. `history`: codes whose repetition is penalised, each as often as it
    /// was there.
    pub fn choose(
        &self,
        mut logits: Vec<f32>,
        history: impl IntoIterator<Item = u32>,
        rng: &mut StdRng,
    ) -> Option<u32> {
        self.penalise(&mut logits, history);
        if self.temperature > 0.0 {
            draw(&self.probabilities(&logits)?, rng)
        } else {
            let best = argmax(&logits);
            logits.get(best).is_some_and(|logit| logit.is_finite()).then_some(best as u32)
        }
    }

    /// From logits without repetition to what is drawn from; `None`: they are no distribution.
    pub(super) fn probabilities(&self, logits: &[f32]) -> Option<Vec<f32>> {
        let mut probabilities: Vec<f32> = logits.iter().map(|logit| logit / self.temperature).collect();
        softmax(&mut probabilities)?;
        if self.linear > 0.0 {
            self.unify(&mut probabilities)?;
        }
        if self.top_p > 0.0 {
            keep_top_p(&mut probabilities, self.top_p);
        }
        if self.top_k > 0 {
            keep_top_k(&mut probabilities, self.top_k);
        }
        if self.min_p > 0.0 {
            let least = self.min_p * probabilities.iter().copied().fold(0.0, f32::max);
            keep(&mut probabilities, |probability| probability >= least);
        }
        Some(probabilities)
    }

    /// Once for each time that a code was there.
    pub(super) fn penalise(&self, logits: &mut [f32], history: impl IntoIterator<Item = u32>) {
        if self.repetition_penalty == 1.0 {
            return;
        }
        for code in history {
            if let Some(logit) = logits.get_mut(code as usize) {
                *logit =
                    if *logit <= 0.0 { *logit * self.repetition_penalty } else { *logit / self.repetition_penalty };
            }
        }
    }

    /// `p ∝ exp(ln p · (linear + entropy · confidence) - ln² p · quadratic)`
    fn unify(&self, probabilities: &mut [f32]) -> Option<()> {
        let log = |probability: f32| probability.max(LEAST).ln();
        let entropy = -probabilities.iter().map(|&probability| probability * log(probability)).sum::<f32>();
        let linear = self.linear + entropy * self.confidence;
        for probability in probabilities.iter_mut() {
            let log = log(*probability);
            *probability = log * linear - log * log * self.quadratic;
        }
        softmax(probabilities)
    }
}

/// `None`: they are no logits.
fn softmax(logits: &mut [f32]) -> Option<()> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !most.is_finite() || logits.iter().any(|logit| logit.is_nan()) {
        return None;
    }
    logits.iter_mut().for_each(|logit| *logit = (*logit - most).exp());
    normalise(logits);
    Some(())
}

fn normalise(probabilities: &mut [f32]) {
    let sum: f32 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|probability| *probability /= sum);
}

fn keep(probabilities: &mut [f32], wanted: impl Fn(f32) -> bool) {
    probabilities.iter_mut().filter(|probability| !wanted(**probability)).for_each(|probability| *probability = 0.0);
    normalise(probabilities);
}

/// Keeps the likeliest as long as those before them have no more than this share.
fn keep_top_p(probabilities: &mut [f32], share: f32) {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let mut before = 0.0;
    for at in order {
        let probability = probabilities[at];
        if before > share {
            probabilities[at] = 0.0;
        }
        before += probability;
    }
    normalise(probabilities);
}

/// Keeps as many of the likeliest, and those that are as likely as the last of them.
fn keep_top_k(probabilities: &mut [f32], count: usize) {
    let mut sorted = probabilities.to_vec();
    let (_, least, _) = sorted.select_nth_unstable_by(count.min(probabilities.len()) - 1, |a, b| b.total_cmp(a));
    let least = *least;
    keep(probabilities, |probability| probability >= least);
}

/// `None`: they are no distribution.
fn draw(probabilities: &[f32], rng: &mut StdRng) -> Option<u32> {
    let sum: f64 = probabilities.iter().map(|&probability| f64::from(probability)).sum();
    if !(sum > 0.0 && sum.is_finite()) {
        return None;
    }
    let mut left = rng.random::<f64>() * sum;
    for (code, &probability) in probabilities.iter().enumerate() {
        left -= f64::from(probability);
        if left < 0.0 {
            return Some(code as u32);
        }
    }
    Some(argmax(probabilities) as u32)
}

/// `untold + scale * (told - untold)`: logits with all conditions, led away from those without.
pub fn guide(told: &[f32], untold: &[f32], scale: f32) -> Vec<f32> {
    told.iter().zip(untold).map(|(told, untold)| untold + scale * (told - untold)).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn draws_follow_the_probabilities_and_the_seed() {
        let logits = || vec![0.0, 1.0, f32::NEG_INFINITY];
        let options = SamplingOptions { min_p: 0.0, ..SamplingOptions::default() };
        let drawn = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..20_000).map(|_| options.choose(logits(), [], &mut rng).unwrap()).collect::<Vec<_>>()
        };
        let ones = drawn(7).iter().filter(|&&code| code == 1).count();
        let expected = 1f64.exp() / (1.0 + 1f64.exp());
        assert!((ones as f64 / 20_000.0 - expected).abs() < 0.01, "{ones}");
        assert!(drawn(7) == drawn(7) && drawn(7) != drawn(8));
    }

    #[test]
    fn a_code_is_penalised_as_often_as_it_was_there() {
        let mut logits = [2.0, -2.0, 8.0];
        SamplingOptions { repetition_penalty: 2.0, ..SamplingOptions::default() }.penalise(&mut logits, [0, 1, 1, 9]);
        assert_eq!(logits, [1.0, -8.0, 8.0]);
    }

    #[test]
    fn what_is_no_distribution_gives_no_code() {
        let mut rng = StdRng::seed_from_u64(1);
        for temperature in [0.0, 1.0] {
            let options = SamplingOptions { temperature, ..SamplingOptions::default() };
            for logits in [vec![f32::NAN, 0.0], vec![f32::NEG_INFINITY; 2], vec![f32::INFINITY, 0.0]] {
                assert_eq!(options.choose(logits.clone(), [], &mut rng), None, "{logits:?} at {temperature}");
            }
        }
    }

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
