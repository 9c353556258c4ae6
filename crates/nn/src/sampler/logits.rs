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
