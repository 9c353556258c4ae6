//! The symbols that the networks read.

use super::{config::Config, error::LarkError};

/// Silence before the first symbol and after the last.
pub const EDGE: u8 = 0;

/// Symbols and their indices.
#[derive(Clone, Debug)]
pub struct Alphabet {
    symbols: Vec<char>,
    vowels: Vec<u8>,
}

// === impl Alphabet ===

impl Alphabet {
    pub fn new(config: &Config) -> Result<Self, LarkError> {
        let mut alphabet = Self { symbols: config.symbols.clone(), vowels: Vec::new() };
        alphabet.vowels = alphabet.indices(&config.vowels)?;
        Ok(alphabet)
    }

    pub fn index(&self, symbol: char) -> Option<u8> {
        let place = self.symbols.iter().skip(1).position(|&known| known == symbol)?;
        u8::try_from(place + 1).ok()
    }

    /// The indices of a pronunciation; names the symbol that there is not.
    pub fn indices(&self, sounds: &str) -> Result<Vec<u8>, LarkError> {
        sounds.chars().map(|symbol| self.index(symbol).ok_or(LarkError::Symbol(symbol))).collect()
    }

    /// What is not in the alphabet is left out.
    pub fn spell(&self, indices: &[u8]) -> String {
        indices.iter().filter_map(|&index| self.symbols.get(usize::from(index))).collect()
    }

    /// Whether sounds begin with a vowel, stressed or not.
    pub fn is_open(&self, sounds: &[u8]) -> bool {
        let first = sounds.iter().find(|&&index| !matches!(self.symbols.get(usize::from(index)), Some('ˈ' | 'ˌ')));
        first.is_some_and(|index| self.vowels.contains(index))
    }
}
