//! From a text to the tokens that this model reads.

use super::{
    error::ChatterboxError,
    repository::TextFiles,
    text::{EnglishTokenizer, Gpt2Files, Gpt2Tokenizer, LetterCase, MultilingualTokenizer, TextError},
};
use crate::model::{LoadError, ModelFiles};

/// The language of a text that does not say its own.
const USUAL_LANGUAGE: &str = "en";
/// Names and codes of the one language of those that speak no other.
const ENGLISH: [&str; 2] = ["en", "english"];

/// The tokenizer of a variant.
pub enum FrontEnd {
    English(EnglishTokenizer),
    Multilingual(MultilingualTokenizer),
    Gpt2(Gpt2Tokenizer),
}

// === impl FrontEnd ===

impl FrontEnd {
    pub fn load(files: &ModelFiles, part: &str, text: &TextFiles, letters: LetterCase) -> Result<Self, LoadError> {
        let open = |file: &str| files.open(part, file);
        Ok(match text {
            TextFiles::English(file) => Self::English(EnglishTokenizer::from_json(file, &open(file)?)?),
            TextFiles::Multilingual(file, cangjie) => {
                let tokenizer = MultilingualTokenizer::from_json(file, &open(file)?, letters)?;
                Self::Multilingual(match cangjie {
                    Some(cangjie) => tokenizer.with_cangjie(cangjie, &open(cangjie)?)?,
                    None => tokenizer,
                })
            }
            TextFiles::Gpt2(file) => Self::Gpt2(Gpt2Tokenizer::from_json(file, &open(file)?)?),
            TextFiles::Gpt2Parts(_) => {
                let optional = |file: &str| files.has(part, file).then(|| open(file)).transpose();
                let (vocab, merges) = (open("vocab.json")?, open("merges.txt")?);
                let (added_tokens, config) = (optional("added_tokens.json")?, optional("tokenizer_config.json")?);
                let (added_tokens, config) = (added_tokens.as_deref(), config.as_deref());
                Self::Gpt2(Gpt2Tokenizer::from_files(&Gpt2Files {
                    vocab: &vocab,
                    merges: &merges,
                    added_tokens,
                    config,
                })?)
            }
        })
    }

    /// `language`: a code or an English name; English if absent.
    pub fn encode(&self, text: &str, language: Option<&str>) -> Result<Vec<u32>, ChatterboxError> {
        let language = language.unwrap_or(USUAL_LANGUAGE).to_ascii_lowercase();
        // `en-GB` is English.
        let base = language.split(['-', '_']).next().unwrap_or(&language);
        let tokens = match self {
            Self::Multilingual(tokenizer) => tokenizer.encode(text, base)?,
            _ if !ENGLISH.contains(&base) => {
                return Err(TextError::UnknownLanguage { given: language, known: USUAL_LANGUAGE.to_owned() }.into());
            }
            Self::English(tokenizer) => tokenizer.encode(text)?,
            Self::Gpt2(tokenizer) => tokenizer.encode(text)?,
        };
        Ok(tokens)
    }
}
