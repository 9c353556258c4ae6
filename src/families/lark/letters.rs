//! Letters to sounds, for words that no lexicon has.

use super::{
    config::Config,
    config::Letters,
    convnext::ConvNext,
    dense::{Dense, Norm},
    error::LarkError,
};
use crate::nn::weights::Weights;

/// Letters of a word that are read; the rest is left out.
const LONGEST: usize = 64;

/// A network that gives each letter some slots, each of which says one sound or none.
#[derive(Debug)]
pub struct GraphemeToPhoneme {
    sizes: Letters,
    /// `[letters, slots · width]`
    embedding: Vec<f32>,
    blocks: ConvNext,
    norm: Norm,
    leave: Dense,
    /// What each symbol is called in the alphabet in which it guesses.
    symbols: Vec<u8>,
}

// === impl GraphemeToPhoneme ===

impl GraphemeToPhoneme {
    pub fn load(weights: &mut Weights, config: &Config) -> Result<Self, LarkError> {
        let (sizes, symbols) = (config.letters.clone(), config.symbols.len());
        let last = u8::try_from(symbols.saturating_sub(1)).unwrap_or(u8::MAX);
        let width = sizes.stack.width;
        Ok(Self {
            embedding: weights.take("letters.embedding.weight", &[sizes.alphabet.len(), sizes.slots * width])?,
            blocks: ConvNext::load(weights, "letters.blocks", &sizes.stack)?,
            norm: Norm::load(weights, "letters.norm", width)?,
            leave: Dense::load(weights, "letters.leave", width, symbols)?,
            sizes,
            symbols: (0..=last).collect(),
        })
    }

    /// The same guesses in the symbols of another alphabet. `symbols`: its index for each of the voice's own.
    pub fn in_symbols(self, symbols: Vec<u8>) -> Self {
        Self { symbols, ..self }
    }

    /// The symbols of a word in lower case. What is no letter is left out.
    pub fn guess(&self, word: &str) -> Result<Vec<u8>, LarkError> {
        let width = self.sizes.slots * self.sizes.stack.width;
        let letters = word.chars().filter_map(|letter| self.letter(letter)).take(LONGEST);
        let rows: Vec<f32> = letters.flat_map(|letter| &self.embedding[letter * width..][..width]).copied().collect();
        let scores = self.leave.forward(self.norm.forward(self.blocks.forward(rows)?)?)?;
        let guess = collapse(&scores, self.symbols.len());
        Ok(guess.into_iter().map(|symbol| self.symbols[usize::from(symbol)]).collect())
    }

    fn letter(&self, letter: char) -> Option<usize> {
        self.sizes.alphabet.iter().skip(1).position(|&known| known == letter).map(|place| place + 1)
    }
}

/// The likeliest symbol of each slot; what is said twice in a row counts once, and 0 not at all (CTC).
fn collapse(scores: &[f32], symbols: usize) -> Vec<u8> {
    let best = scores.chunks_exact(symbols).map(|scores| {
        let best = scores.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1));
        best.map_or(0, |(symbol, _)| u8::try_from(symbol).unwrap_or(0))
    });
    let mut best: Vec<u8> = best.collect();
    best.dedup();
    best.retain(|&symbol| symbol != 0);
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_count_once_unless_nothing_lies_between() {
        let slots = [1, 1, 0, 1, 2, 2, 0, 0, 3];
        let scores: Vec<f32> =
            slots.iter().flat_map(|&best| (0..4).map(move |s| f32::from(u8::from(s == best)))).collect();
        assert_eq!(collapse(&scores, 4), [1, 1, 2, 3]);
    }
}
