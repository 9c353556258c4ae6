//! Letters to sounds, behind a trait: families bring their own front end or share one.

/// Turns text into phonemes.
pub trait Phonemizer: Send + Sync {
    /// The IPA of `text`, which is in `language` (a BCP 47 tag such as `en-US`). Punctuation stays where it stood, since
    /// models read their pauses from it.
    fn phonemes(&self, language: &str, text: &str) -> Result<String, PhonemeError>;
}

/// Why a text has no phonemes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhonemeError {
    #[error("the language {asked:?} is not known; there are {}", .known.join(", "))]
    Language { asked: String, known: Vec<String> },
    #[error("{text:?} cannot be pronounced: {reason}")]
    Text { text: String, reason: String },
    #[error("the phonemizer failed: {0}")]
    Failed(String),
}
