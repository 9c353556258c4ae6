//! Which tokens may be drawn. Each filter makes the logits of the others minus infinity, and always leaves the likeliest.

use super::logits::{argmax, log_sum_exp};

/// Keeps the `count` likeliest tokens, and those that are as likely as the last of them.
pub fn keep_top_k(logits: &mut [f32], count: usize) {
    if count == 0 || count >= logits.len() {
        return;
    }
    let least = least_of_top_k(logits, count);
    keep(logits, |logit| logit >= least);
}

/// The last of the `count` greatest, of which there is at least one and are not more than numbers.
pub(super) fn least_of_top_k(numbers: &[f32], count: usize) -> f32 {
    let mut sorted = numbers.to_vec();
    let (_, least, _) = sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    *least
}

/// Keeps the fewest of the likeliest tokens that together have the probability `share` (Holtzman et al., arXiv
/// 1904.09751).
pub fn keep_top_p(logits: &mut [f32], share: f32) {
    if share >= 1.0 {
        return;
    }
    let total = f64::from(log_sum_exp(logits));
    let mut rare: Vec<usize> = (0..logits.len()).filter(|&at| logits[at] > f32::NEG_INFINITY).collect();
    rare.sort_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    // The likeliest is kept, whatever its share.
    rare.pop();
    let mut sum = 0.0;
    for at in rare {
        sum += (f64::from(logits[at]) - total).exp();
        if sum > 1.0 - f64::from(share) {
            break;
        }
        logits[at] = f32::NEG_INFINITY;
    }
}

/// Keeps tokens at least `share` times as likely as the likeliest (Nguyen et al., arXiv 2407.01082).
pub fn keep_min_p(logits: &mut [f32], share: f32) {
    if share <= 0.0 || logits.is_empty() {
        return;
    }
    let least = logits[argmax(logits)] + share.min(1.0).ln();
    keep(logits, |logit| logit >= least);
}

fn keep(logits: &mut [f32], wanted: impl Fn(f32) -> bool) {
    logits.iter_mut().filter(|logit| !wanted(**logit)).for_each(|logit| *logit = f32::NEG_INFINITY);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of these probabilities, and which of them a filter keeps.
    fn kept(probabilities: &[f32], filter: impl Fn(&mut [f32])) -> Vec<usize> {
        let mut logits: Vec<f32> = probabilities.iter().map(|probability| probability.ln() + 3.0).collect();
        let before = logits.clone();
        filter(&mut logits);
        let kept = (0..logits.len()).filter(|&at| logits[at] == before[at] && logits[at].is_finite());
        kept.collect()
    }

    #[test]
    fn the_top_k_are_kept_with_their_equals() {
        let likely = [0.1, 0.4, 0.2, 0.2, 0.1];
        assert_eq!(kept(&likely, |logits| keep_top_k(logits, 1)), [1]);
        assert_eq!(kept(&likely, |logits| keep_top_k(logits, 2)), [1, 2, 3]);
        assert_eq!(kept(&likely, |logits| keep_top_k(logits, 9)), [0, 1, 2, 3, 4]);
        assert_eq!(kept(&likely, |logits| keep_top_k(logits, 0)), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_top_p_are_the_fewest_that_reach_the_share() {
        let likely = [0.15, 0.5, 0.0, 0.25, 0.1];
        assert_eq!(kept(&likely, |logits| keep_top_p(logits, 0.8)), [0, 1, 3]);
        assert_eq!(kept(&likely, |logits| keep_top_p(logits, 0.7)), [1, 3]);
        assert_eq!(kept(&likely, |logits| keep_top_p(logits, 0.0)), [1]);
        assert_eq!(kept(&likely, |logits| keep_top_p(logits, 1.0)), [0, 1, 3, 4]);
    }

    #[test]
    fn the_min_p_are_measured_by_the_likeliest() {
        let likely = [0.15, 0.5, 0.0, 0.25, 0.1];
        assert_eq!(kept(&likely, |logits| keep_min_p(logits, 0.29)), [0, 1, 3]);
        assert_eq!(kept(&likely, |logits| keep_min_p(logits, 1.0)), [1]);
        assert_eq!(kept(&likely, |logits| keep_min_p(logits, 0.0)), [0, 1, 3, 4]);
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        for filter in [keep_top_p, keep_min_p] {
            let mut none = [];
            filter(&mut none, 0.5);
            let mut lost = [f32::NAN, f32::NEG_INFINITY];
            filter(&mut lost, 0.5);
        }
        keep_top_k(&mut [f32::NAN, 1.0], 1);
    }
}
