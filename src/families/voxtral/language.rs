//! The languages that Voxtral was made for.

use crate::{model::RequestError, speech::languages};

/// ISO 639-1 codes. Source: the model's card.
const LANGUAGES: [&str; 8] = ["en", "es", "fr", "pt", "hi", "de", "nl", "it"];

/// The code of a language given as a code (`en`), a locale (`en-GB`) or an English name (`English`). Codes of other
/// languages are taken as they are: the prompt has a place for any, and how well it hears them the model does not say.
pub fn code(given: &str) -> Result<String, RequestError> {
    let lower = given.trim().to_lowercase();
    let primary = lower.split(['-', '_']).next().unwrap_or_default();
    let is_code = primary.len() == 2 && primary.bytes().all(|byte| byte.is_ascii_lowercase());
    let code = if is_code { Some(primary) } else { languages::code(&lower) };
    code.map(str::to_owned).ok_or_else(|| {
        let known = LANGUAGES.join(", ");
        let message = format!("{given:?} is no language that this model knows; {known} or another ISO 639-1 code is");
        RequestError::Invalid { param: "language", message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_locales_and_names_are_understood() {
        for (given, expected) in [("en", "en"), (" German ", "de"), ("pt-BR", "pt"), ("hi_IN", "hi"), ("UK", "uk")] {
            assert_eq!(code(given).unwrap(), expected);
        }
        for given in ["", "klingon", "e1", "日本"] {
            let error = code(given).unwrap_err().to_string();
            assert!(error.contains("en, es, fr"), "{error}");
        }
    }
}
