//! The languages of the multilingual model.

use super::error::TextError;

/// A language, by its code, and why it cannot be spoken here.
struct Language {
    code: &'static str,
    name: &'static str,
    obstacle: Option<&'static str>,
}

/// Its characters are read by a table that comes with the model.
pub(super) const CHINESE: &str = "zh";

const LANGUAGES: [Language; 23] = [
    spoken("ar", "Arabic"),
    spoken("da", "Danish"),
    spoken("de", "German"),
    spoken("el", "Greek"),
    spoken("en", "English"),
    spoken("es", "Spanish"),
    spoken("fi", "Finnish"),
    spoken("fr", "French"),
    unspoken("he", "Hebrew", "the model reads Hebrew with vowel points, and there is nothing here that sets them"),
    spoken("hi", "Hindi"),
    spoken("it", "Italian"),
    unspoken(
        "ja",
        "Japanese",
        "the model reads Japanese in kana, and there is no dictionary here of how kanji are read",
    ),
    spoken("ko", "Korean"),
    spoken("ms", "Malay"),
    spoken("nl", "Dutch"),
    spoken("no", "Norwegian"),
    spoken("pl", "Polish"),
    spoken("pt", "Portuguese"),
    // Without stress marks, as the reference where its optional package for them is missing.
    spoken("ru", "Russian"),
    spoken("sv", "Swedish"),
    spoken("sw", "Swahili"),
    spoken("tr", "Turkish"),
    spoken(CHINESE, "Chinese"),
];

const fn spoken(code: &'static str, name: &'static str) -> Language {
    Language { code, name, obstacle: None }
}

const fn unspoken(code: &'static str, name: &'static str, obstacle: &'static str) -> Language {
    Language { code, name, obstacle: Some(obstacle) }
}

/// Codes of the languages that can be spoken.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().filter(|language| language.obstacle.is_none()).map(|language| language.code)
}

/// The code of a language that can be spoken, given in any case. `known`: the codes to name where it cannot.
pub(super) fn find(given: &str, known: impl Fn() -> String) -> Result<&'static str, TextError> {
    let found = LANGUAGES.iter().find(|language| language.code.eq_ignore_ascii_case(given));
    let language = found.ok_or_else(|| TextError::UnknownLanguage { given: given.to_owned(), known: known() })?;
    match language.obstacle {
        None => Ok(language.code),
        Some(reason) => Err(TextError::UnspokenLanguage { language: language.name, reason, known: known() }),
    }
}
