//! Chinese, as the multilingual model reads it: words apart, and each character by the keys that type it.

use std::collections::HashMap;

use icu_properties::props::{EnumeratedProperty, GeneralCategory};
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed, options::WordBreakInvariantOptions};

use super::error::TokenizerError;

/// The codes of `Cangjie5_TC.json`, and what finds words.
pub(super) struct Cangjie {
    /// The keys of a character, and which of those typed so it is, unless it is the first.
    codes: HashMap<char, Box<str>>,
    words: WordSegmenterBorrowed<'static>,
}

// === impl Cangjie ===

impl Cangjie {
    /// `file`: the name of what has this `content`, an array of lines of a character, its code and more, tabs between.
    pub fn from_json(file: &str, content: &[u8]) -> Result<Self, TokenizerError> {
        let lines: Vec<String> = serde_json::from_slice(content).map_err(|error| TokenizerError::new(file, error))?;
        let (mut codes, mut typed_so) = (HashMap::new(), HashMap::<&str, u32>::new());
        for line in &lines {
            let mut columns = line.split('\t');
            let (Some(character), Some(code)) = (columns.next(), columns.next()) else {
                return Err(TokenizerError::new(file, format!("it has the line {line:?} without a tab")));
            };
            let mut characters = character.chars();
            // Some lines are of several characters, which nobody looks up.
            let (Some(character), None) = (characters.next(), characters.next()) else { continue };
            let before = typed_so.entry(code).or_default();
            let place = if *before > 0 { before.to_string() } else { String::new() };
            codes.insert(character, format!("{code}{place}").into());
            *before += 1;
        }
        Ok(Self { codes, words: WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()) })
    }

    /// With a space between words, and characters that have a code as its tokens.
    pub fn encode(&self, text: &str) -> String {
        let breaks: Vec<usize> = self.words.segment_str(text).collect();
        let words = breaks.windows(2).map(|ends| text[ends[0]..ends[1]].trim()).filter(|word| !word.is_empty());
        let mut encoded = String::new();
        for word in words {
            if !encoded.is_empty() {
                encoded.push(' ');
            }
            word.chars().for_each(|character| self.push(character, &mut encoded));
        }
        encoded
    }

    fn push(&self, character: char, encoded: &mut String) {
        let is_letter = GeneralCategory::for_char(character) == GeneralCategory::OtherLetter;
        match self.codes.get(&character).filter(|_| is_letter) {
            Some(code) => {
                code.chars().for_each(|key| encoded.extend(["[cj_", key.encode_utf8(&mut [0; 4]), "]"]));
                encoded.push_str("[cj_.]");
            }
            None => encoded.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"["你\tonf\t1", "好\tvnd\t2", "世\tpt", "他\tonf", "界\twoll\t3", "你好\tx"]"#;

    #[test]
    fn words_are_apart_and_characters_are_typed() {
        let cangjie = Cangjie::from_json("c.json", LINES.as_bytes()).expect("good lines");
        let expected =
            "[cj_o][cj_n][cj_f][cj_.][cj_v][cj_n][cj_d][cj_.] , [cj_p][cj_t][cj_.][cj_w][cj_o][cj_l][cj_l][cj_.] 3";
        assert_eq!(cangjie.encode("你好, 世界 3"), expected);
        assert_eq!(cangjie.encode("他"), "[cj_o][cj_n][cj_f][cj_1][cj_.]", "the second that is typed so");
        assert_eq!(cangjie.encode("あ"), "あ");
        assert_eq!(cangjie.encode(" "), "");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for (content, said) in [("{}", "expected a sequence"), (r#"["你onf"]"#, "without a tab"), ("[", "EOF")] {
            let error = Cangjie::from_json("c.json", content.as_bytes()).err().expect("no table").to_string();
            assert!(error.starts_with("c.json is not what it should be") && error.contains(said), "{error}");
        }
    }
}
