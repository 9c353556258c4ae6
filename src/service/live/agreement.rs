//! Which words of a growing recording are certain.
//!
//! A model that hears the beginning of a sentence guesses its end. What two guesses in a row have in common stays, as a
//! rule, when more is heard: local agreement (D. Liu, G. Spanakis, J. Niehues, "Low-latency sequence-to-sequence speech
//! recognition and translation by partial hypothesis selection", Interspeech 2020). The last word of a guess is never
//! certain, since the sound may end within it.

use unicode_segmentation::UnicodeSegmentation;

/// What is certain of one text so far. Nothing that was said to be certain is ever taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalAgreement {
    certain: String,
    /// What was heard last.
    before: Option<String>,
}

/// What the whole text adds to what was certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The whole text is what was certain and this.
    Follows(String),
    /// The whole text is another one.
    Differs,
}

// === impl LocalAgreement ===

impl LocalAgreement {
    /// Takes the next text that was heard; gives what is certain since.
    pub fn hear(&mut self, text: &str) -> Option<String> {
        let before = self.before.replace(text.to_owned())?;
        let agreed = agreed(&before, text);
        let more = agreed.strip_prefix(self.certain.as_str()).filter(|more| !more.is_empty())?.to_owned();
        self.certain.push_str(&more);
        Some(more)
    }

    /// What the whole text adds.
    pub fn rest(&self, whole: &str) -> Rest {
        whole.strip_prefix(self.certain.as_str()).map_or(Rest::Differs, |rest| Rest::Follows(rest.to_owned()))
    }
}

/// The words with which both begin, but for the last word of either and what follows it.
fn agreed<'a>(one: &str, other: &'a str) -> &'a str {
    let (mut agreed, mut at) = (0, 0);
    for (mine, theirs) in one.split_word_bounds().zip(other.split_word_bounds()) {
        if mine != theirs {
            break;
        }
        // A word is certain when another one begins after it.
        if is_word(mine) {
            agreed = at;
        }
        at += mine.len();
    }
    // What stands between two words comes with the second.
    other[..agreed].trim_end()
}

fn is_word(piece: &str) -> bool {
    piece.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(texts: &[&str]) -> (Vec<String>, LocalAgreement) {
        let mut agreement = LocalAgreement::default();
        (texts.iter().filter_map(|text| agreement.hear(text)).collect(), agreement)
    }

    #[test]
    fn a_word_is_certain_when_two_guesses_have_it_and_one_more() {
        let (deltas, agreement) =
            heard(&["turn", "turn on the kit", "turn on the kitchen", "turn on the kitchen light"]);
        assert_eq!(deltas, ["turn on", " the"]);
        assert_eq!(agreement.rest("turn on the kitchen lights"), Rest::Follows(" kitchen lights".to_owned()));
    }

    #[test]
    fn what_was_certain_is_never_taken_back() {
        let (deltas, agreement) = heard(&["a b c d", "a b c d", "a x c d", "a x c d", "a b c d e", "a b c d e"]);
        assert_eq!(deltas, ["a b c", " d"]);
        assert_eq!(agreement.rest("a x"), Rest::Differs);
    }

    #[test]
    fn marks_and_letters_that_change_are_not_certain() {
        let (deltas, _) = heard(&["Hello. I", "Hello, I am", "Hello, I am here"]);
        assert_eq!(deltas, ["Hello, I"]);
        let (deltas, _) = heard(&["It's 3.5", "It's 3.5 degrees", "It's 3.5 degrees. Cold"]);
        assert_eq!(deltas, ["It's", " 3.5"]);
    }

    #[test]
    fn scripts_without_blanks_are_certain_by_the_character() {
        let (deltas, agreement) = heard(&["今天天", "今天天气", "今天天气很好"]);
        assert_eq!(deltas.concat(), "今天天");
        assert_eq!(agreement.rest("今天天气很好。"), Rest::Follows("气很好。".to_owned()));
    }

    #[test]
    fn nothing_and_silence_agree_on_nothing() {
        assert_eq!(heard(&["", "", " ", "..."]).0, Vec::<String>::new());
        assert_eq!(LocalAgreement::default().rest(""), Rest::Follows(String::new()));
    }
}
