//! The next token: the likeliest, or one drawn by its likelihood.

mod filters;
mod logits;
mod repetition;

pub use filters::{keep_min_p, keep_top_k, keep_top_p};
pub use logits::{argmax, log_sum_exp};
use rand::{Rng, rngs::StdRng};
pub use repetition::penalise_repetition;

/// A token and the natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledToken {
    pub token: u32,
    pub logprob: f32,
}

/// The likeliest at temperature 0, else one drawn from the distribution that the temperature flattens. The probability
/// is that at temperature 1, as in openai-whisper. `None` when the logits are no distribution.
pub fn sample(logits: &[f32], temperature: f32, rng: &mut StdRng) -> Option<SampledToken> {
    let total = log_sum_exp(logits);
    if !total.is_finite() {
        return None;
    }
    let token = if temperature > 0.0 { draw(logits, temperature, rng) } else { argmax(logits) };
    Some(SampledToken { token: token as u32, logprob: logits[token] - total })
}

/// The probability of one token.
pub fn probability(logits: &[f32], token: u32) -> f32 {
    logits.get(token as usize).map_or(0.0, |logit| (logit - log_sum_exp(logits)).exp())
}

fn draw(logits: &[f32], temperature: f32, rng: &mut StdRng) -> usize {
    let best = argmax(logits);
    let weights = || logits.iter().map(|logit| f64::from((logit - logits[best]) / temperature).exp());
    let mut left = rng.random::<f64>() * weights().sum::<f64>();
    for (index, weight) in weights().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    #[test]
    fn without_temperature_the_likeliest_is_taken() {
        let choice = sample(&[0.0, 2.0, f32::NEG_INFINITY, 2.0], 0.0, &mut rng()).unwrap();
        assert_eq!(choice.token, 1);
        let expected = (2f32.exp() / (1.0 + 2.0 * 2f32.exp())).ln();
        assert!((choice.logprob - expected).abs() < 1e-6, "{} {expected}", choice.logprob);
    }

    #[test]
    fn draws_follow_the_flattened_distribution() {
        let (logits, mut rng) = ([0.0, 1.0, f32::NEG_INFINITY], rng());
        let ones = (0..20_000).filter(|_| sample(&logits, 0.5, &mut rng).unwrap().token == 1).count();
        let expected = 2f64.exp() / (1.0 + 2f64.exp());
        assert!((ones as f64 / 20_000.0 - expected).abs() < 0.01, "{ones}");
    }

    #[test]
    fn equal_seeds_draw_alike() {
        let logits: Vec<f32> = (0..50).map(|id| (id as f32).sin()).collect();
        let drawn =
            |mut rng: StdRng| -> Vec<u32> { (0..30).map(|_| sample(&logits, 1.0, &mut rng).unwrap().token).collect() };
        assert_eq!(drawn(rng()), drawn(rng()));
    }

    #[test]
    fn what_is_no_distribution_gives_no_token() {
        for logits in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
            assert_eq!(sample(&logits, 0.0, &mut rng()), None, "{logits:?}");
            assert_eq!(sample(&logits, 1.0, &mut rng()), None, "{logits:?}");
        }
    }
}
