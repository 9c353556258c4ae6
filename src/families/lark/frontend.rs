//! From text to symbols: the lexicon, how small words sound before others, and a guess at the rest.
//!
//! Numbers, abbreviations and signs are to be words already.

use std::{collections::BTreeMap, ops::Range};

use super::{
    alphabet::{Alphabet, EDGE},
    config::Config,
    error::LarkError,
    ipa,
    letters::GraphemeToPhoneme,
    lexicon::Lexicon,
};
use crate::speech::Pronunciation;

/// Capital letters that are spelt out where no lexicon has them as a word: at most this many.
const LONGEST_INITIALS: usize = 5;

/// English, by a lexicon and a network.
#[derive(Debug)]
pub struct FrontEnd {
    alphabet: Alphabet,
    lexicon: Lexicon,
    letters: GraphemeToPhoneme,
    /// What letters are called.
    names: BTreeMap<char, Vec<u8>>,
    /// Words that sound otherwise before a vowel.
    before_vowel: BTreeMap<String, Vec<u8>>,
}

/// A text as the networks read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phrase {
    /// Symbols, with silence at both ends. Empty where nothing in the text can be said.
    pub ids: Vec<u8>,
    pub words: Vec<SpokenWord>,
}

/// A word, and what it became.
#[derive(Clone, Debug, PartialEq)]
pub struct SpokenWord {
    /// Bytes of the text.
    pub text: Range<usize>,
    /// Of `ids`.
    pub symbols: Range<usize>,
}

/// A piece of text, by its bytes.
#[derive(Clone, Debug, PartialEq)]
struct Token {
    range: Range<usize>,
    kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq)]
enum TokenKind {
    Word(String),
    /// A word whose symbols are known.
    Sounds(Vec<u8>),
    /// A mark that the alphabet has.
    Mark(u8),
}

// === impl FrontEnd ===

impl FrontEnd {
    /// `config`: what letters are called, and what sounds otherwise before a vowel.
    pub fn new(
        config: &Config,
        alphabet: Alphabet,
        lexicon: Lexicon,
        letters: GraphemeToPhoneme,
    ) -> Result<Self, LarkError> {
        let names = config.letter_names.iter().map(|(&letter, sounds)| Ok((letter, alphabet.indices(sounds)?)));
        let names = names.collect::<Result<_, LarkError>>()?;
        let before = config.before_vowel.iter().map(|(word, sounds)| Ok((word.clone(), alphabet.indices(sounds)?)));
        let before_vowel = before.collect::<Result<_, LarkError>>()?;
        Ok(Self { alphabet, lexicon, letters, names, before_vowel })
    }

    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    #[cfg(test)]
    pub fn letters(&self) -> &GraphemeToPhoneme {
        &self.letters
    }

    /// What a text becomes, where some stretches of it sound as they are said to.
    pub fn read(&self, text: &str, pronunciations: &[Pronunciation]) -> Result<Phrase, LarkError> {
        let tokens = self.tokens(text, pronunciations)?;
        let (mut said, mut following) = (Vec::new(), Vec::new());
        for Token { range, kind } in tokens.into_iter().rev() {
            let sounds = match kind {
                TokenKind::Mark(mark) => {
                    following.clear();
                    said.push((0..0, vec![mark]));
                    continue;
                }
                TokenKind::Sounds(sounds) => sounds,
                TokenKind::Word(word) => self.pronounce(&word, &following)?,
            };
            following.clone_from(&sounds);
            said.push((range, sounds));
        }
        said.reverse();
        Ok(self.phrase(&said))
    }

    /// Words and marks in a row, each word with its place in the text.
    fn phrase(&self, said: &[(Range<usize>, Vec<u8>)]) -> Phrase {
        let mut phrase = Phrase { ids: vec![EDGE], words: Vec::new() };
        for (text, sounds) in said {
            let is_word = !text.is_empty();
            phrase.ids.extend(self.alphabet.index(' ').filter(|_| is_word && phrase.ids.len() > 1));
            let start = phrase.ids.len();
            phrase.ids.extend(sounds);
            if is_word {
                phrase.words.push(SpokenWord { text: text.clone(), symbols: start..phrase.ids.len() });
            }
        }
        phrase.ids.push(EDGE);
        if phrase.words.is_empty() { Phrase::default() } else { phrase }
    }

    fn tokens(&self, text: &str, pronunciations: &[Pronunciation]) -> Result<Vec<Token>, LarkError> {
        let (mut tokens, mut at) = (Vec::new(), 0);
        for Pronunciation { range, ipa } in pronunciations {
            self.split(text, at..range.start, &mut tokens);
            let sounds = ipa::symbols(&self.alphabet, ipa)?;
            tokens.push(Token { range: range.clone(), kind: TokenKind::Sounds(sounds) });
            at = range.end;
        }
        self.split(text, at..text.len(), &mut tokens);
        Ok(tokens)
    }

    /// The words and marks in some bytes of a text.
    fn split(&self, text: &str, bytes: Range<usize>, tokens: &mut Vec<Token>) {
        let (mut word, mut begun) = (String::new(), bytes.start);
        let letters = text.get(bytes.clone()).unwrap_or_default().char_indices();
        for (at, letter) in letters.map(|(at, letter)| (bytes.start + at, letter)).chain([(bytes.end, ' ')]) {
            let letter = if letter == '’' { '\'' } else { letter };
            if letter.is_alphabetic() || (letter == '\'' && !word.is_empty()) {
                if word.is_empty() {
                    begun = at;
                }
                word.push(letter);
                continue;
            }
            if !word.is_empty() {
                tokens.push(Token { range: begun..at, kind: TokenKind::Word(std::mem::take(&mut word)) });
            }
            if letter != ' ' && letter.is_ascii_punctuation() || matches!(letter, '—' | '…') {
                let kind = self.alphabet.index(letter).map(TokenKind::Mark);
                tokens.extend(kind.map(|kind| Token { range: at..at, kind }));
            }
        }
    }

    /// How a word is said before these sounds.
    fn pronounce(&self, word: &str, following: &[u8]) -> Result<Vec<u8>, LarkError> {
        let lower = word.to_lowercase();
        if let Some(sounds) = self.before_vowel.get(&lower)
            && self.alphabet.is_open(following)
        {
            return Ok(sounds.clone());
        }
        if let Some(sounds) = self.known(&lower) {
            return Ok(sounds);
        }
        match self.initials(word) {
            Some(sounds) => Ok(sounds),
            None => self.guess(&lower),
        }
    }

    /// What the lexicon says, also of a word in quotes and of what somebody owns.
    fn known(&self, word: &str) -> Option<Vec<u8>> {
        let bare = word.trim_end_matches('\'');
        let found = self.lexicon.get(word).or_else(|| self.lexicon.get(bare)).map(<[u8]>::to_vec);
        found.or_else(|| self.owner(self.lexicon.get(bare.strip_suffix("'s")?)?.to_vec()))
    }

    /// With the sound of an owner's s after it.
    fn owner(&self, mut sounds: Vec<u8>) -> Option<Vec<u8>> {
        let last = self.alphabet.spell(&sounds[sounds.len().checked_sub(1)?..]);
        let ending = match last.as_str() {
            "s" | "z" | "ʃ" | "ʒ" | "ʧ" | "ʤ" => "ɪz",
            "p" | "t" | "k" | "f" | "θ" => "s",
            _ => "z",
        };
        sounds.extend(ending.chars().filter_map(|symbol| self.alphabet.index(symbol)));
        Some(sounds)
    }

    /// The names of the letters, where a word is a few capitals.
    fn initials(&self, word: &str) -> Option<Vec<u8>> {
        let short = word.chars().count() <= LONGEST_INITIALS && word.chars().all(char::is_uppercase);
        let names = word.chars().map(|letter| self.names.get(&letter.to_ascii_lowercase()).cloned());
        if short { names.collect::<Option<Vec<_>>>().map(|names| names.concat()) } else { None }
    }

    fn guess(&self, word: &str) -> Result<Vec<u8>, LarkError> {
        match word.strip_suffix("'s") {
            Some(owner) => {
                let sounds = self.letters.guess(owner)?;
                Ok(self.owner(sounds.clone()).unwrap_or(sounds))
            }
            None => self.letters.guess(word),
        }
    }
}
