//! From text to symbols: the lexicon, how small words sound before others, and a guess at the rest.
//!
//! Numbers, abbreviations and signs are to be words already.

use std::collections::BTreeMap;

use super::{
    alphabet::{Alphabet, EDGE},
    config::Config,
    error::LarkError,
    letters::GraphemeToPhoneme,
    lexicon::Lexicon,
};

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

/// A piece of text.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// A mark that the alphabet has.
    Mark(u8),
}

// === impl FrontEnd ===

impl FrontEnd {
    pub fn new(config: &Config, lexicon: Lexicon, letters: GraphemeToPhoneme) -> Result<Self, LarkError> {
        let alphabet = Alphabet::new(config)?;
        let names = config.letter_names.iter().map(|(&letter, sounds)| Ok((letter, alphabet.indices(sounds)?)));
        let names = names.collect::<Result<_, LarkError>>()?;
        let before = config.before_vowel.iter().map(|(word, sounds)| Ok((word.clone(), alphabet.indices(sounds)?)));
        let before_vowel = before.collect::<Result<_, LarkError>>()?;
        Ok(Self { alphabet, lexicon, letters, names, before_vowel })
    }

    #[cfg(test)]
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    #[cfg(test)]
    pub fn letters(&self) -> &GraphemeToPhoneme {
        &self.letters
    }

    /// The symbols of a text, with silence at both ends. Empty where nothing in it can be said.
    pub fn ids(&self, text: &str) -> Result<Vec<u8>, LarkError> {
        let tokens = self.tokens(text);
        if !tokens.iter().any(|token| matches!(token, Token::Word(_))) {
            return Ok(Vec::new());
        }
        let space = self.alphabet.index(' ');
        let (mut said, mut following): (Vec<Vec<u8>>, Vec<u8>) = (Vec::new(), Vec::new());
        for token in tokens.iter().rev() {
            match token {
                Token::Mark(mark) => {
                    said.push(vec![*mark]);
                    following.clear();
                }
                Token::Word(word) => {
                    following = self.pronounce(word, &following)?;
                    said.push(space.into_iter().chain(following.iter().copied()).collect());
                }
            }
        }
        let mut ids: Vec<u8> = said.into_iter().rev().flatten().collect();
        if ids.first().copied() == space {
            ids.remove(0);
        }
        ids.insert(0, EDGE);
        ids.push(EDGE);
        Ok(ids)
    }

    fn tokens(&self, text: &str) -> Vec<Token> {
        let (mut tokens, mut word) = (Vec::new(), String::new());
        for letter in text.chars().map(|letter| if letter == '’' { '\'' } else { letter }).chain([' ']) {
            if letter.is_alphabetic() || (letter == '\'' && !word.is_empty()) {
                word.push(letter);
                continue;
            }
            if !word.is_empty() {
                tokens.push(Token::Word(std::mem::take(&mut word)));
            }
            if letter != ' ' && letter.is_ascii_punctuation() || matches!(letter, '—' | '…') {
                tokens.extend(self.alphabet.index(letter).map(Token::Mark));
            }
        }
        tokens
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
