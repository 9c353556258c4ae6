//! Tokens to words.

use super::super::tokens::Tokens;

/// Written without spaces between words: every character that is complete counts as a word.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

const REPLACEMENT: char = '\u{fffd}';

/// The words that `ids` write, each with the number of its tokens.
pub fn words(tokens: &Tokens, language: &str, ids: &[u32]) -> Vec<(String, usize)> {
    let parts = complete_parts(tokens, ids);
    if WITHOUT_SPACES.contains(&language) {
        return parts.into_iter().map(|(text, ids)| (text, ids.len())).collect();
    }
    let mut words: Vec<(String, usize)> = Vec::new();
    for (text, ids) in parts {
        match words.last_mut() {
            Some((word, count)) if !begins_word(tokens, &text, ids) => {
                word.push_str(&text);
                *count += ids.len();
            }
            _ => words.push((text, ids.len())),
        }
    }
    words
}

fn begins_word(tokens: &Tokens, text: &str, ids: &[u32]) -> bool {
    ids[0] >= tokens.eot || text.starts_with(' ') || PUNCTUATION.contains(text.trim())
}

/// The shortest runs of tokens that end where a character ends.
fn complete_parts<'a>(tokens: &Tokens, ids: &'a [u32]) -> Vec<(String, &'a [u32])> {
    let full: Vec<char> = tokens.decode(ids).chars().collect();
    let (mut parts, mut first, mut offset) = (Vec::new(), 0, 0);
    for end in 1..=ids.len() {
        let text = tokens.decode(&ids[first..end]);
        let broken = text.chars().position(|character| character == REPLACEMENT);
        // A replacement that also stands in the whole text is no half character: it is what the tokens say.
        if broken.is_none_or(|at| full.get(offset + at) == Some(&REPLACEMENT)) {
            offset += text.chars().count();
            parts.push((text, &ids[first..end]));
            first = end;
        }
    }
    parts
}
