//! Punctuation as the models know it.

use super::error::TextError;

/// Which marks a model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Punctuation {
    English,
    /// Also those that end a sentence in Chinese and Japanese.
    Multilingual,
    /// Keeps three points, semicolons and hyphens between spaces.
    Turbo,
}

/// Who has a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    All,
    AllButTurbo,
}

/// What is written otherwise, in this order; each rule sees what those before it wrote.
const RULES: [(For, &str, &str); 12] = [
    (For::AllButTurbo, "...", ", "),
    (For::All, "\u{2026}", ", "),
    (For::All, ":", ","),
    (For::AllButTurbo, " - ", ", "),
    (For::AllButTurbo, ";", ", "),
    // Dashes, long and half as long.
    (For::All, "\u{2014}", "-"),
    (For::All, "\u{2013}", "-"),
    (For::All, " ,", ","),
    // Quotation marks that open and close.
    (For::All, "\u{201c}", "\""),
    (For::All, "\u{201d}", "\""),
    (For::All, "\u{2018}", "'"),
    (For::All, "\u{2019}", "'"),
];

/// After one of these nothing is added.
const ENDS: [char; 5] = ['.', '!', '?', '-', ','];
const EASTERN_ENDS: [char; 6] = ['、', '，', '。', '？', '！', '.'];

/// A text as the model knows texts: it begins with a capital letter, has one space between words, plain marks, and one at
/// its end. (The reference says a sentence of its own for a text without anything; here it is an error.)
pub fn punctuate(text: &str, of: Punctuation) -> Result<String, TextError> {
    let capitalised = capitalise(text);
    let words = capitalised.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    if words.is_empty() {
        return Err(TextError::Empty);
    }
    let rules = RULES.iter().filter(|(whose, ..)| *whose == For::All || of != Punctuation::Turbo);
    let text = rules.fold(words.join(" "), |text, (_, from, to)| text.replace(from, to));
    let text = text.trim_end_matches(' ');
    let ended = text.ends_with(ENDS) || of == Punctuation::Multilingual && text.ends_with(EASTERN_ENDS);
    Ok(if ended { text.to_owned() } else { format!("{text}.") })
}

/// Also the four separators of ASCII, which are no white space to Unicode but were in the models' data.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// Only what is its very first character: after a space a text begins as it was written.
fn capitalise(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next().filter(|first| first.is_lowercase()) {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text.to_owned(),
    }
}
