//! Text to the tokens that T3 reads.
//!
//! Each variant has its tokenizer, and all of them first set the punctuation as the model knows it.

mod cangjie;
mod english;
mod error;
mod gpt2;
mod graphemes;
mod language;
mod multilingual;
mod punctuation;
#[cfg(test)]
mod tests;

pub use english::EnglishTokenizer;
pub use error::{TextError, TokenizerError};
pub use gpt2::{Gpt2Files, Gpt2Tokenizer};
pub use multilingual::{LetterCase, MultilingualTokenizer};
