//! Probabilities that are given another shape before a token is drawn by them.

use super::{
    filters::least_of_top_k,
    logits::{argmax, first_beyond},
};

/// Probabilities are not counted below this, where their logarithm is taken.
const LEAST: f32 = 1e-20;

/// What is done to probabilities, in the order of the fields. Each leaves a distribution, as in the reference of Zonos.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Logits are divided by it; above 0.
    pub temperature: f32,
    pub unified: Option<Unified>,
    /// The likeliest are kept as long as those before them have no more than this share; 0: all.
    pub top_p: f32,
    /// How many of the likeliest, and those that are as likely as the last of them; 0: all.
    pub top_k: usize,
    /// Those at least as many times as likely as the likeliest; 0: all.
    pub min_p: f32,
}

/// The unified sampler of NovelAI: `p ∝ exp(ln p · (linear + entropy · confidence) - ln² p · quadratic)`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unified {
    /// How much what is likely counts.
    pub linear: f32,
    /// How much more it counts where the network is unsure.
    pub confidence: f32,
    /// How much what is unlikely is made less likely.
    pub quadratic: f32,
}

// === impl Shape ===

impl Shape {
    /// Of logits; `None`: they are no distribution.
    pub fn probabilities(&self, logits: &[f32]) -> Option<Vec<f32>> {
        let mut probabilities: Vec<f32> = logits.iter().map(|logit| logit / self.temperature).collect();
        softmax(&mut probabilities)?;
        if let Some(unified) = self.unified {
            unified.apply(&mut probabilities)?;
        }
        if self.top_p > 0.0 {
            keep_top_p(&mut probabilities, self.top_p);
        }
        if self.top_k > 0 {
            let least = least_of_top_k(&probabilities, self.top_k.min(probabilities.len()));
            keep(&mut probabilities, least);
        }
        if self.min_p > 0.0 {
            let least = self.min_p * probabilities.iter().copied().fold(0.0, f32::max);
            keep(&mut probabilities, least);
        }
        Some(probabilities)
    }

    /// The one at which their sum reaches `at`, from 0 to 1, with its probability in this shape.
    pub(super) fn draw(&self, logits: &[f32], at: f64) -> Option<(usize, f32)> {
        let probabilities = self.probabilities(logits)?;
        let weights = || probabilities.iter().map(|&probability| f64::from(probability));
        let sum: f64 = weights().sum();
        let token = first_beyond(weights(), at * sum).unwrap_or_else(|| argmax(&probabilities));
        Some((token, probabilities[token]))
    }
}

// === impl Unified ===

impl Unified {
    fn apply(&self, probabilities: &mut [f32]) -> Option<()> {
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

fn keep(probabilities: &mut [f32], least: f32) {
    probabilities.iter_mut().filter(|probability| **probability < least).for_each(|probability| *probability = 0.0);
    normalise(probabilities);
}

/// Of equals the last go first.
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

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Shape = Shape { temperature: 1.0, unified: None, top_p: 0.0, top_k: 0, min_p: 0.0 };

    fn token(shape: Shape, logits: &[f32], at: f64) -> Option<usize> {
        shape.draw(logits, at).map(|(token, _)| token)
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let logits = [0.0, 1.0, f32::NEG_INFINITY];
        let of_first = 1.0 / (1.0 + 1f64.exp());
        assert_eq!(token(PLAIN, &logits, of_first - 1e-6), Some(0));
        assert_eq!(token(PLAIN, &logits, of_first + 1e-6), Some(1));
        assert_eq!(token(PLAIN, &logits, 1.0), Some(1), "rounding may leave the sum below");
        let (_, probability) = PLAIN.draw(&logits, 0.0).unwrap();
        assert!((f64::from(probability) - of_first).abs() < 1e-6, "{probability}");
    }

    #[test]
    fn of_equals_the_last_go_first() {
        let probabilities = Shape { top_p: 0.3, ..PLAIN }.probabilities(&[1.0; 4]).unwrap();
        assert_eq!(probabilities, [0.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn what_is_no_distribution_gives_no_token() {
        for logits in [[f32::NAN, 0.0], [f32::NEG_INFINITY; 2], [f32::INFINITY, 0.0]] {
            assert_eq!(PLAIN.draw(&logits, 0.5), None, "{logits:?}");
        }
    }
}
