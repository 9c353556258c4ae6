//! Against repetition.

/// Makes tokens that were there already less likely (Keskar et al., arXiv 1909.05858): a logit above zero is divided by
/// `penalty`, one below multiplied by it, each once however often its token was there.
pub fn penalise_repetition(logits: &mut [f32], tokens: impl IntoIterator<Item = u32>, penalty: f32) {
    let mut seen = vec![false; logits.len()];
    for token in tokens {
        if let Some(seen) = seen.get_mut(token as usize).filter(|seen| !**seen) {
            *seen = true;
            penalise_each_time(logits, [token], penalty);
        }
    }
}

/// The same, each as often as its token was there.
pub fn penalise_each_time(logits: &mut [f32], tokens: impl IntoIterator<Item = u32>, penalty: f32) {
    for token in tokens {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
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

    #[test]
    fn each_token_is_penalised_as_often_as_it_was_there() {
        let mut logits = [2.0, -2.0, 8.0];
        penalise_each_time(&mut logits, [0, 1, 1, 9], 2.0);
        assert_eq!(logits, [1.0, -8.0, 8.0]);
    }
}
