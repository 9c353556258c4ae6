//! The tokenizer of the multilingual model.

use icu_normalizer::DecomposingNormalizerBorrowed;

use super::{
    cangjie::Cangjie,
    error::{TextError, TokenizerError},
    graphemes::Graphemes,
    language::{self, CHINESE},
    punctuation::{Punctuation, is_space, punctuate},
};

/// Reads the `grapheme_mtl_merged_expanded_v1.json` of the multilingual model.
pub struct MultilingualTokenizer {
    graphemes: Graphemes,
    letters: LetterCase,
    /// `None`: no Chinese.
    cangjie: Option<Cangjie>,
}

/// The letters that a checkpoint was trained with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterCase {
    Lower,
    AsWritten,
}

// === impl MultilingualTokenizer ===

impl MultilingualTokenizer {
    /// `file`: the name of what has this `content`.
    pub fn from_json(file: &str, content: &[u8], letters: LetterCase) -> Result<Self, TokenizerError> {
        Ok(Self { graphemes: Graphemes::from_json(file, content)?, letters, cangjie: None })
    }

    /// Chinese as well, by the table `Cangjie5_TC.json`. `file`: the name of what has this `content`.
    pub fn with_cangjie(self, file: &str, content: &[u8]) -> Result<Self, TokenizerError> {
        Ok(Self { cangjie: Some(Cangjie::from_json(file, content)?), ..self })
    }

    /// Codes of the languages that can be spoken: those for which there is a tag among the tokens.
    pub fn languages(&self) -> Vec<&'static str> {
        let read = |code: &&str| *code != CHINESE || self.cangjie.is_some();
        language::codes().filter(|code| self.graphemes.has(&tag(code))).filter(read).collect()
    }

    /// A text as it was written, in a language given by its code (`de`), to tokens, start and stop among them.
    pub fn encode(&self, text: &str, language: &str) -> Result<Vec<u32>, TextError> {
        let known = || self.languages().join(", ");
        let code = language::find(language, known)?;
        if !self.graphemes.has(&tag(code)) {
            return Err(TextError::UnknownLanguage { given: language.to_owned(), known: known() });
        }
        let text = punctuate(text, Punctuation::Multilingual)?;
        let text = match self.letters {
            LetterCase::Lower => text.to_lowercase(),
            LetterCase::AsWritten => text,
        };
        // Accents become letters of their own, and syllables of Hangul their jamo.
        let text = DecomposingNormalizerBorrowed::new_nfkd().normalize(&text);
        let text = match (code, &self.cangjie) {
            (CHINESE, Some(cangjie)) => cangjie.encode(&text).into(),
            (CHINESE, None) => {
                let reason = "the model reads Chinese by the table Cangjie5_TC.json, which is not among its files";
                return Err(TextError::UnspokenLanguage { language: "Chinese", reason, known: known() });
            }
            ("ko", _) => text.trim_matches(is_space).into(),
            _ => text,
        };
        self.graphemes.encode(&format!("{}{text}", tag(code)))
    }
}

/// The token that begins a text in a language.
fn tag(code: &str) -> String {
    format!("[{code}]")
}
