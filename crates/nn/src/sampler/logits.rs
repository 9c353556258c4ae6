//! What is known of logits: how much they make together, and which is the greatest.

/// The natural logarithm of the sum of the exponentials; minus infinity of none.
pub fn log_sum_exp(logits: &[f32]) -> f32 {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if greatest == f32::NEG_INFINITY {
        return greatest;
    }
    let sum: f32 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
    greatest + sum.ln()
}

/// The first of the greatest.
pub fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = index;
        }
    }
    best
}

/// Where the sum of the flattened probabilities reaches `at`, from 0 to 1.
pub(super) fn draw(logits: &[f32], temperature: f32, at: f64) -> usize {
    let best = argmax(logits);
    let weights = || logits.iter().map(|logit| f64::from((logit - logits[best]) / temperature).exp());
    first_beyond(weights(), at * weights().sum::<f64>()).unwrap_or(best)
}

/// Where the sum of the weights goes beyond `at`; rounding may leave it below.
pub(super) fn first_beyond(mut weights: impl Iterator<Item = f64>, at: f64) -> Option<usize> {
    let mut left = at;
    weights.position(|weight| {
        left -= weight;
        left < 0.0
    })
}

/// The indices of the greatest that are not masked, the greatest first, the first of equals first.
pub(super) fn likeliest(logits: &[f32], count: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::with_capacity(count.min(logits.len()) + 1);
    let mut least = f32::NEG_INFINITY;
    for (at, &logit) in logits.iter().enumerate() {
        if logit > least {
            let place = found.partition_point(|&other| logits[other] >= logit);
            found.insert(place, at);
            found.truncate(count);
            if found.len() == count {
                least = found.last().map_or(f32::INFINITY, |&last| logits[last]);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_in_order_and_the_first_of_equals_first() {
        assert_eq!(likeliest(&[1.0, 3.0, f32::NEG_INFINITY, 3.0, 2.0], 3), [1, 3, 4]);
        assert_eq!(likeliest(&[1.0, f32::NEG_INFINITY], 3), [0]);
        assert!(likeliest(&[1.0, 2.0], 0).is_empty());
    }
}
