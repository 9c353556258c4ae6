//! Against repetition.

/// Makes tokens that were there already less likely (Keskar et al., arXiv 1909.05858): a logit above zero is divided by
/// `penalty`, one below multiplied by it, each once however often its token was there.
pub fn penalise_repetition(logits: &mut [f32], tokens: impl IntoIterator<Item = u32>, penalty: f32) {
    let mut seen = vec![false; logits.len()];
    for token in tokens {
        let at = token as usize;
        if seen.get(at).is_some_and(|seen| !seen) {
            seen[at] = true;
            logits[at] = if logits[at] < 0.0 { logits[at] * penalty } else { logits[at] / penalty };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_penalised_once_towards_the_unlikely() {
        let mut logits = [2.0, -2.0, 3.0, f32::NEG_INFINITY];
        penalise_repetition(&mut logits, [0, 1, 1, 0, 3, 9], 2.0);
        assert_eq!(logits, [1.0, -4.0, 3.0, f32::NEG_INFINITY]);
    }
}
