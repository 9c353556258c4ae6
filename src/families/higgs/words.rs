//! Text to tokens, and the tokens that part a conversation.

use tokenizers::Tokenizer;

use super::repository::TOKENIZER;
use crate::model::LoadError;

/// The tokenizer of a Llama, with Boson's own tokens.
pub struct Words {
    tokenizer: Tokenizer,
    pub special: SpecialTokens,
}

/// Tokens that no text has.
#[derive(Clone, Copy, Debug)]
pub struct SpecialTokens {
    pub begin: u32,
    pub header_start: u32,
    pub header_end: u32,
    pub turn_end: u32,
    pub scene_start: u32,
    pub scene_end: u32,
    pub audio_begin: u32,
    pub audio_end: u32,
}

// === impl Words ===

impl Words {
    /// `json`: what is in `tokenizer.json`.
    pub fn new(json: &[u8]) -> Result<Self, LoadError> {
        let malformed = |reason: String| LoadError::Malformed { file: TOKENIZER.to_owned(), reason };
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| malformed(error.to_string()))?;
        // In a text they are letters like others, so that nobody can end a turn.
        tokenizer.set_encode_special_tokens(true);
        let id =
            |token: &str| tokenizer.token_to_id(token).ok_or_else(|| malformed(format!("it has no token {token}")));
        let special = SpecialTokens {
            begin: id("<|begin_of_text|>")?,
            header_start: id("<|start_header_id|>")?,
            header_end: id("<|end_header_id|>")?,
            turn_end: id("<|eot_id|>")?,
            scene_start: id("<|scene_desc_start|>")?,
            scene_end: id("<|scene_desc_end|>")?,
            audio_begin: id("<|audio_out_bos|>")?,
            audio_end: id("<|audio_eos|>")?,
        };
        Ok(Self { tokenizer, special })
    }

    pub fn encode(&self, text: &str) -> Result<Vec<u32>, candle_core::Error> {
        let encoded = self.tokenizer.encode_fast(text, false).map_err(candle_core::Error::msg)?;
        Ok(encoded.get_ids().to_vec())
    }
}
