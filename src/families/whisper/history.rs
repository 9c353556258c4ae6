//! What was said before the window: the decoder is prompted with it.

/// The caller's prompt, then the tokens of every segment.
#[derive(Clone, Debug)]
pub struct History {
    tokens: Vec<u32>,
    /// Tokens before are forgotten.
    since: usize,
    /// Whether a window knows what the ones before it said.
    condition_on_previous_text: bool,
}

/// Above this temperature a text is guessed, and would lead the next window astray.
const HIGHEST_TRUSTED_TEMPERATURE: f32 = 0.5;

// === impl History ===

impl History {
    pub fn new(prompt: Vec<u32>, condition_on_previous_text: bool) -> Self {
        Self { tokens: prompt, since: 0, condition_on_previous_text }
    }

    /// The last of it, at most `room` tokens.
    pub fn last(&self, room: usize) -> &[u32] {
        let remembered = &self.tokens[self.since..];
        &remembered[remembered.len().saturating_sub(room)..]
    }

    /// Adds what a window said.
    pub fn extend(&mut self, tokens: impl IntoIterator<Item = u32>, temperature: f32) {
        self.tokens.extend(tokens);
        if !self.condition_on_previous_text || temperature > HIGHEST_TRUSTED_TEMPERATURE {
            self.since = self.tokens.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_prompt_comes_first_and_the_latest_words_stay() {
        let mut history = History::new(vec![1, 2], true);
        assert_eq!(history.last(4), [1, 2]);
        history.extend([3, 4, 5], 0.0);
        assert_eq!(history.last(4), [2, 3, 4, 5]);
        assert!(history.last(0).is_empty());
    }

    #[test]
    fn guessed_text_is_forgotten_and_so_is_all_before_it() {
        let mut history = History::new(vec![1, 2], true);
        history.extend([3], 0.6);
        assert!(history.last(9).is_empty());
        history.extend([4], 0.4);
        assert_eq!(history.last(9), [4]);
    }

    #[test]
    fn a_window_can_be_kept_from_knowing_the_ones_before() {
        let mut history = History::new(vec![1, 2], false);
        assert_eq!(history.last(9), [1, 2]);
        history.extend([3], 0.0);
        assert!(history.last(9).is_empty());
    }
}
