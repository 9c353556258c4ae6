//! What the tokenizers of the English and the multilingual model have in common.

use tokenizers::Tokenizer;

use super::error::{TextError, TokenizerError};

/// A word boundary is a token like a letter.
const SPACE: &str = "[SPACE]";
const START: &str = "[START]";
const STOP: &str = "[STOP]";

/// Letters and pairs of letters, between a start and a stop token.
pub(super) struct Graphemes {
    tokenizer: Tokenizer,
    start: u32,
    stop: u32,
}

// === impl Graphemes ===

impl Graphemes {
    /// `file`: the name of what has this `content`.
    pub fn from_json(file: &str, content: &[u8]) -> Result<Self, TokenizerError> {
        let tokenizer = Tokenizer::from_bytes(content).map_err(|error| TokenizerError::new(file, error))?;
        let id = |token: &str| {
            let id = tokenizer.token_to_id(token);
            id.ok_or_else(|| TokenizerError::new(file, format!("it has no token {token}")))
        };
        let (start, stop) = (id(START)?, id(STOP)?);
        Ok(Self { tokenizer, start, stop })
    }

    pub fn has(&self, token: &str) -> bool {
        self.tokenizer.token_to_id(token).is_some()
    }

    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let spaced = text.replace(' ', SPACE);
        let encoded = self.tokenizer.encode(spaced, true).map_err(|error| TextError::Tokens(error.to_string()))?;
        Ok([&[self.start], encoded.get_ids(), &[self.stop]].concat())
    }
}
