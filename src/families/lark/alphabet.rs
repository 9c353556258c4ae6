//! The symbols that the networks read.

use super::error::LarkError;

/// Silence before the first symbol and after the last.
pub const EDGE: u8 = 0;

/// Symbols and their indices.
#[derive(Clone, Debug)]
pub struct Alphabet {
    /// `None` where an index stands for nothing.
    symbols: Vec<Option<char>>,
    vowels: Vec<u8>,
}

// === impl Alphabet ===

impl Alphabet {
    /// `vowels`: those of the symbols that are vowels.
    pub fn new(symbols: Vec<Option<char>>, vowels: &str) -> Result<Self, LarkError> {
        let mut alphabet = Self { symbols, vowels: Vec::new() };
        alphabet.vowels = alphabet.indices(vowels)?;
        Ok(alphabet)
    }

    /// Indices up to the last that stands for anything.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    pub fn index(&self, symbol: char) -> Option<u8> {
        let place = self.symbols.iter().skip(1).position(|&known| known == Some(symbol))?;
        u8::try_from(place + 1).ok()
    }

    /// The indices of a pronunciation; names the symbol that there is not.
    pub fn indices(&self, sounds: &str) -> Result<Vec<u8>, LarkError> {
        sounds.chars().map(|symbol| self.index(symbol).ok_or(LarkError::Symbol(symbol))).collect()
    }

    /// What is not in the alphabet is left out.
    pub fn spell(&self, indices: &[u8]) -> String {
        indices.iter().filter_map(|&index| self.symbol(index)).collect()
    }

    /// Whether sounds begin with a vowel, stressed or not.
    pub fn is_open(&self, sounds: &[u8]) -> bool {
        let first = sounds.iter().find(|&&index| !matches!(self.symbol(index), Some('ˈ' | 'ˌ')));
        first.is_some_and(|index| self.vowels.contains(index))
    }

    fn symbol(&self, index: u8) -> Option<char> {
        self.symbols.get(usize::from(index)).copied().flatten()
    }
}
