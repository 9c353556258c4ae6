//! From a text to the symbols that Zonos reads: numbers as words, words as phonemes by espeak-ng, phonemes as ids.
//!
//! It is the front end of the reference, which models were trained with: its rules for numbers, and PyPI's `phonemizer`
//! 3.3.0 with each word by itself.

mod kana;
mod languages;
mod numbers;
mod symbols;
#[cfg(test)]
mod tests;

pub use languages::Language;

use crate::{
    families::espeak_ng::EspeakPhonemizer,
    model::{ProgramFacts, RequestError},
    speech::Pronunciation,
    text::{PhonemeError, Phonemizer},
};

/// Languages that an error has room for.
const FEW: usize = 12;
/// What is read by what its words sound like, and not by rules for numbers.
const JAPANESE: &str = "ja";

/// The front end.
pub struct FrontEnd {
    phonemizer: EspeakPhonemizer,
}

/// A text as it sounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phonemes(String);

// === impl FrontEnd ===

impl FrontEnd {
    pub fn new(program: ProgramFacts) -> Self {
        Self { phonemizer: EspeakPhonemizer::new(program).splitting_at(symbols::PUNCTUATION) }
    }

    /// `asked`: a code of espeak-ng, another locale or an English name; English of the USA if absent.
    pub fn language(&self, asked: Option<&str>) -> Result<Language, RequestError> {
        languages::find(asked).ok_or_else(|| {
            let (known, more) = (languages::LANGUAGES[..FEW].join(", "), languages::LANGUAGES.len() - FEW);
            let asked = asked.unwrap_or_default();
            invalid("language", format!("the language {asked:?} is unknown; known are en, {known}, and {more} more"))
        })
    }

    /// How a text sounds. Where somebody says it of a stretch, that is taken.
    pub fn phonemes(
        &self,
        text: &str,
        pronunciations: &[Pronunciation],
        language: Language,
    ) -> Result<Phonemes, RequestError> {
        let (mut said, mut from) = (String::new(), 0);
        for Pronunciation { range, ipa } in pronunciations {
            said += &self.read(text.get(from..range.start).unwrap_or_default(), language)?;
            said += ipa;
            from = range.end;
        }
        said += &self.read(text.get(from..).unwrap_or_default(), language)?;
        match symbols::is_spoken(&said) {
            true => Ok(Phonemes(said.trim().to_owned())),
            false => Err(invalid("text", "the text has nothing that can be spoken; words would be right".to_owned())),
        }
    }

    /// With the blanks at its ends.
    fn read(&self, text: &str, language: Language) -> Result<String, RequestError> {
        let words = text.trim();
        if words.is_empty() {
            return Ok(if text.is_empty() { String::new() } else { " ".to_owned() });
        }
        let blank = |present: bool| if present { " " } else { "" };
        let (before, after) = (text.starts_with(char::is_whitespace), text.ends_with(char::is_whitespace));
        let words = if language.code == JAPANESE { in_kana(words)? } else { numbers::normalize(words) };
        let said = self.phonemizer.phonemes(language.code, &words).map_err(of_text)?;
        Ok(format!("{}{said}{}", blank(before), blank(after)))
    }
}

// === impl Phonemes ===

impl Phonemes {
    /// As the model reads them, from the beginning to the end of a sequence.
    pub fn ids(&self) -> Vec<u32> {
        symbols::encode(&self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// After others that were said before.
    pub fn after(&self, before: &str) -> Self {
        Self(format!("{before} {}", self.0))
    }

    /// About so much of the end, in whole words.
    pub fn last(&self, share: f32) -> &str {
        let words: Vec<usize> = self.0.match_indices(' ').map(|(at, _)| at + 1).collect();
        let left_out = ((words.len() + 1) as f32 * (1.0 - share.clamp(0.0, 1.0))) as usize;
        match left_out.checked_sub(1).and_then(|word| words.get(word)) {
            Some(start) => &self.0[*start..],
            None => &self.0,
        }
    }
}

/// It takes a dictionary to know how anything else is read, and there is none here.
fn in_kana(text: &str) -> Result<String, RequestError> {
    kana::katakana(text).map_err(|c| {
        let example = "for 今日は３時 write きょう は さんじ";
        invalid("text", format!("Japanese is read in kana alone, and {c:?} is none; write how it is read: {example}"))
    })
}

fn of_text(error: PhonemeError) -> RequestError {
    let message = error.to_string();
    match error {
        PhonemeError::Language { .. } => RequestError::Unsupported { param: "language", message },
        PhonemeError::Text { .. } => invalid("text", message),
        PhonemeError::Failed(reason) => {
            tracing::warn!(%reason, "espeak-ng did not say how a text sounds");
            RequestError::Broken
        }
    }
}

fn invalid(param: &'static str, message: String) -> RequestError {
    RequestError::Invalid { param, message }
}
