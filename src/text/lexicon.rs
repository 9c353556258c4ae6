//! How a user wants words to be said.
//!
//! ```toml
//! [words]
//! nginx = "engine x"                             # small letters: however the text writes it
//! US = "U S"                                     # a capital letter: exactly so, and `us` stays a word
//! "Node.js" = "node jay ess"
//! "New Orleans" = "new orlins"                   # several words
//! tomato = { phonemes = "təˈmɑːtoʊ" }            # IPA, for families that take it
//! gif = { say = "jif", phonemes = "dʒɪf" }       # both: `say` for those that do not
//! ```

use std::collections::HashMap;

use toml::de::{DeTable, DeValue};
use unicode_segmentation::UnicodeSegmentation;

use super::{Part, Span, parts::Parts};

/// The most bytes of a lexicon.
const MAX_BYTES: usize = 2 << 20;
/// The most words of a lexicon.
const MAX_WORDS: usize = 50_000;
/// The most characters of a word or of several that belong together.
const MAX_WORD: usize = 64;
/// The most segments (words, spaces and signs) of a word.
const MAX_SEGMENTS: usize = 16;
/// The most characters of what is said.
const MAX_SAID: usize = 256;

/// Words and how they are said. A word in small letters is found however the text writes it; one with a capital letter is
/// found exactly as it is written, and comes first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lexicon {
    /// By the word in small letters.
    words: HashMap<String, Vec<Entry>>,
    /// The most segments and bytes of a word.
    segments: usize,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// The only way of writing that is meant; none: any.
    exactly: Option<String>,
    say: Option<String>,
    phonemes: Option<String>,
}

/// What is wrong with a lexicon, and in which line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexiconError {
    #[error("the lexicon has {0} bytes, more than the limit of {MAX_BYTES}")]
    TooLarge(usize),
    #[error("the lexicon has {0} words, more than the limit of {MAX_WORDS}")]
    TooMany(usize),
    #[error("line {line} of the lexicon is no TOML: {message}")]
    Syntax { line: usize, message: String },
    #[error("line {line} of the lexicon: there is no {key:?}; the words stand under [words]")]
    Key { line: usize, key: String },
    #[error("line {line} of the lexicon: the word {word:?} {fault}")]
    Word { line: usize, word: String, fault: &'static str },
}

impl Lexicon {
    /// Reads TOML.
    pub fn parse(toml: &str) -> Result<Self, LexiconError> {
        if toml.len() > MAX_BYTES {
            return Err(LexiconError::TooLarge(toml.len()));
        }
        let lines = Lines::of(toml);
        let document = DeTable::parse(toml).map_err(|error| LexiconError::Syntax {
            line: lines.line(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let mut lexicon = Self::default();
        for (key, value) in document.get_ref() {
            let words = value.get_ref().as_table().filter(|_| key.get_ref() == "words");
            let line = lines.line(key.span().start);
            lexicon
                .add_all(words.ok_or_else(|| LexiconError::Key { line, key: key.get_ref().to_string() })?, &lines)?;
        }
        Ok(lexicon)
    }

    fn add_all(&mut self, words: &DeTable<'_>, lines: &Lines) -> Result<(), LexiconError> {
        if words.len() > MAX_WORDS {
            return Err(LexiconError::TooMany(words.len()));
        }
        for (word, value) in words {
            let fault = |fault| {
                let word = super::error::excerpt(word.get_ref());
                LexiconError::Word { line: lines.line(value.span().start), word, fault }
            };
            self.add(word.get_ref(), value.get_ref()).map_err(fault)?;
        }
        Ok(())
    }

    fn add(&mut self, word: &str, value: &DeValue<'_>) -> Result<(), &'static str> {
        let segments = word.split_word_bounds().count();
        if word.trim() != word || !word.contains(char::is_alphanumeric) {
            return Err("needs a letter or a digit, and no white space at its ends");
        }
        if word.chars().count() > MAX_WORD || segments > MAX_SEGMENTS {
            return Err("is too long: the limits are 64 characters and 16 words, spaces and signs");
        }
        let (say, phonemes) = said(value)?;
        let small = word.to_lowercase();
        let exactly = (small != word).then(|| word.to_owned());
        self.segments = self.segments.max(segments);
        self.bytes = self.bytes.max(small.len()).max(word.len());
        let entries = self.words.entry(small).or_default();
        let entry = Entry { exactly, say, phonemes };
        entries.insert(if entry.exactly.is_some() { 0 } else { entries.len() }, entry);
        Ok(())
    }

    /// Whether `word` is here as the text writes it.
    pub(super) fn has(&self, word: &str) -> bool {
        self.find(word).is_some()
    }

    fn find(&self, word: &str) -> Option<&Entry> {
        // A letter and its small form differ by a few bytes at most.
        let fits = word.len() <= self.bytes + 8;
        let entries = self.words.get(word.to_lowercase().as_str()).filter(|_| fits && !self.words.is_empty())?;
        entries.iter().find(|entry| entry.exactly.as_ref().is_none_or(|exactly| exactly == word))
    }

    /// `part` with the words of this lexicon said as it says; the longest that begins at a word counts.
    pub(super) fn apply(&self, part: Part, out: &mut Parts) {
        match part {
            Part::Say(span) if span.phonemes.is_none() && !self.words.is_empty() => self.apply_to(&span, out),
            Part::Say(Span { text, phonemes: None, prosody }) => out.text(&text, prosody),
            Part::Say(Span { text, phonemes, prosody }) => out.span(text, phonemes, prosody),
            Part::Boundary(boundary) => out.boundary(boundary),
        }
    }

    fn apply_to(&self, span: &Span, out: &mut Parts) {
        let mut bounds: Vec<usize> = span.text.split_word_bound_indices().map(|(start, _)| start).collect();
        bounds.push(span.text.len());
        let mut at = 0;
        while at + 1 < bounds.len() {
            let most = self.segments.min(bounds.len() - 1 - at);
            let found = (1..=most).rev().find_map(|count| {
                let word = &span.text[bounds[at]..bounds[at + count]];
                (word.len() <= self.bytes + 8).then(|| self.find(word)).flatten().map(|entry| (count, word, entry))
            });
            let (count, word) = match found {
                Some((count, word, Entry { say, phonemes: Some(phonemes), .. })) => {
                    out.span(say.as_deref().unwrap_or(word).to_owned(), Some(phonemes.clone()), span.prosody);
                    (count, "")
                }
                Some((count, word, Entry { say, .. })) => (count, say.as_deref().unwrap_or(word)),
                None => (1, &span.text[bounds[at]..bounds[at + 1]]),
            };
            out.text(word, span.prosody);
            at += count;
        }
    }
}

/// What an entry says: a spelling, phonemes, or both.
fn said(value: &DeValue<'_>) -> Result<(Option<String>, Option<String>), &'static str> {
    const FORMS: &str = "needs a spelling in quotes, or { say = \"…\", phonemes = \"…\" } with at least one of the two";
    let text = |value: &DeValue<'_>| match value.as_str() {
        Some(said) if said.trim().is_empty() => Err("is said as nothing; leave it out instead"),
        Some(said) if said.chars().count() > MAX_SAID => Err("is said with more than 256 characters"),
        Some(said) => Ok(Some(said.trim().to_owned())),
        None => Err(FORMS),
    };
    let Some(table) = value.as_table() else { return Ok((text(value)?, None)) };
    let (mut say, mut phonemes) = (None, None);
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "say" => say = text(value.get_ref())?,
            "phonemes" => phonemes = text(value.get_ref())?,
            _ => return Err(FORMS),
        }
    }
    if say.is_none() && phonemes.is_none() { Err(FORMS) } else { Ok((say, phonemes)) }
}

/// Where the lines of a text start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self([0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|&start| start <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Prosody, *};

    fn spoken(toml: &str, text: &str) -> Vec<(String, Option<String>)> {
        let mut parts = Parts::default();
        let span = Span { text: text.to_owned(), phonemes: None, prosody: Prosody::default() };
        Lexicon::parse(toml).unwrap().apply(Part::Say(span), &mut parts);
        let said = |part| match part {
            Part::Say(span) => (span.text, span.phonemes),
            Part::Boundary(_) => unreachable!("a lexicon has no pauses"),
        };
        parts.into_vec().into_iter().map(said).collect()
    }

    fn text(toml: &str, text: &str) -> String {
        spoken(toml, text).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn small_letters_match_any_case_and_capitals_themselves() {
        let toml = "[words]\nnginx = 'engine x'\nUS = 'U S'\npolish = 'shine'\nPolish = 'pole ish'";
        assert_eq!(text(toml, "Nginx NGINX nginx"), "engine x engine x engine x");
        assert_eq!(text(toml, "US us Us"), "U S us Us");
        assert_eq!(text(toml, "Polish polish POLISH"), "pole ish shine shine");
    }

    #[test]
    fn only_whole_words_match_and_the_longest_first() {
        let toml =
            "[words]\ncat = 'feline'\n'cat flap' = 'little door'\n'C++' = 'see plus plus'\n'Node.js' = 'node jay ess'";
        assert_eq!(text(toml, "A cat, a catalogue, a cat flap."), "A feline, a catalogue, a little door.");
        assert_eq!(text(toml, "(C++) and Node.js."), "(see plus plus) and node jay ess.");
    }

    #[test]
    fn phonemes_stand_beside_the_word() {
        let toml = "[words]\ntomato = { phonemes = 'təˈmɑːtoʊ' }\ngif = { say = 'jif', phonemes = 'dʒɪf' }";
        let plain = |text: &str| (text.to_owned(), None);
        let said = |text: &str, phonemes: &str| (text.to_owned(), Some(phonemes.to_owned()));
        let expected = [plain("A "), said("Tomato", "təˈmɑːtoʊ"), plain(" "), said("jif", "dʒɪf"), plain(".")];
        assert_eq!(spoken(toml, "A Tomato GIF."), expected);
    }

    #[test]
    fn faults_name_their_line() {
        let error = |toml: &str| Lexicon::parse(toml).unwrap_err().to_string();
        assert!(error("[words]\na = ").starts_with("line 2 of the lexicon is no TOML: "));
        assert!(error("[words]\na = 'b'\na = 'c'").starts_with("line 3 of the lexicon is no TOML: "));
        assert_eq!(error("\n[word]"), "line 2 of the lexicon: there is no \"word\"; the words stand under [words]");
        let starts = |toml: &str, start: &str| assert!(error(toml).starts_with(start), "{}", error(toml));
        starts("[words]\na = 1", "line 2 of the lexicon: the word \"a\" needs a spelling in quotes");
        starts("[words]\n\na = {}", "line 3 of the lexicon: the word \"a\" needs a spelling");
        starts("[words]\na = { ipa = 'x' }", "line 2 of the lexicon: the word \"a\" needs a spelling");
        starts("[words]\na = ' '", "line 2 of the lexicon: the word \"a\" is said as nothing");
        starts("[words]\n'!' = 'a'", "line 2 of the lexicon: the word \"!\" needs a letter");
        starts(&format!("[words]\n{} = 'a'", "a".repeat(65)), "line 2 of the lexicon: the word \"aaaa");
        assert_eq!(Lexicon::parse(&"#".repeat(MAX_BYTES + 1)), Err(LexiconError::TooLarge(MAX_BYTES + 1)));
        assert_eq!(Lexicon::parse(""), Ok(Lexicon::default()));
    }

    #[test]
    fn the_example_is_a_lexicon() {
        let example = include_str!("../../examples/pronunciations.toml");
        assert_eq!(text(example, "Nginx serves GIFs of SQL in Sconce."), "engine x serves GIFs of sequel in Skons.");
    }
}
