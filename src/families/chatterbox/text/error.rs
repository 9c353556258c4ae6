//! What can be wrong with a text, and with a tokenizer.

/// Why a text cannot be spoken.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum TextError {
    #[error("there is nothing to say")]
    Empty,
    #[error("the language {given:?} is unknown; known are {known}")]
    UnknownLanguage { given: String, known: String },
    #[error("{language} cannot be spoken: {reason}; spoken are {known}")]
    UnspokenLanguage { language: &'static str, reason: &'static str, known: String },
    #[error("the text cannot be made tokens: {0}")]
    Tokens(String),
}

/// What is wrong with a tokenizer's files.
#[derive(Debug, thiserror::Error)]
#[error("{file} is not what it should be: {reason}")]
pub struct TokenizerError {
    pub file: String,
    pub reason: String,
}

// === impl TokenizerError ===

impl TokenizerError {
    pub(super) fn new(file: &str, reason: impl ToString) -> Self {
        Self { file: file.to_owned(), reason: reason.to_string() }
    }
}
