//! The tokenizer of the English model.

use super::{
    error::{TextError, TokenizerError},
    graphemes::Graphemes,
    punctuation::{Punctuation, punctuate},
};

/// Reads the `tokenizer.json` of the English model.
pub struct EnglishTokenizer(Graphemes);

// === impl EnglishTokenizer ===

impl EnglishTokenizer {
    /// `file`: the name of what has this `content`.
    pub fn from_json(file: &str, content: &[u8]) -> Result<Self, TokenizerError> {
        Graphemes::from_json(file, content).map(Self)
    }

    /// A text as it was written to tokens, start and stop among them.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        self.0.encode(&punctuate(text, Punctuation::English)?)
    }
}
