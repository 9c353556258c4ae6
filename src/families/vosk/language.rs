//! The language of a model: its files do not tell it, and its name mostly does.

use crate::{model::RequestError, speech::languages};

/// What Alpha Cephei calls some languages, with their codes.
const OTHERWISE: [(&str, &str); 5] = [("cn", "zh"), ("kz", "kk"), ("ua", "uk"), ("vn", "vi"), ("gr", "el")];
/// What may stand between the name of the family and the language.
const WORDS: [&str; 2] = ["model", "small"];

/// ISO 639-1 code of a model that is called so: `vosk-model-small-en-us-0.15`, `vosk-de`.
pub fn of_name(name: &str) -> Option<&'static str> {
    let short = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let mut parts = short.strip_prefix("vosk")?.split(['-', '_']).skip(1);
    let part = parts.find(|part| !WORDS.contains(part))?;
    let otherwise = OTHERWISE.iter().find(|(called, _)| *called == part).map(|(_, code)| *code);
    otherwise.or_else(|| languages::code(part))
}

/// A model hears one language; of its varieties any will do.
pub fn check(asked: Option<&str>, own: Option<&'static str>) -> Result<(), RequestError> {
    let (Some(asked), Some(own)) = (asked.filter(|asked| !asked.trim().is_empty()), own) else { return Ok(()) };
    match languages::code(asked) {
        Some(code) if code == own => Ok(()),
        _ => {
            let mut name = languages::name(own).to_owned();
            name[..1].make_ascii_uppercase();
            let message = format!("this model hears {name} ({own}), not {asked}");
            Err(RequestError::Unsupported { param: "language", message })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_languages() {
        for (name, code) in [
            ("alphacep/vosk-model-small-en-us-0.15", Some("en")),
            ("vosk-model-small-cn-0.22", Some("zh")),
            ("vosk-de", Some("de")),
            ("vosk_model_fa", Some("fa")),
            ("vosk", None),
            ("vosk-kitchen", None),
            ("my-vosk", None),
        ] {
            assert_eq!(of_name(name), code, "{name}");
        }
    }

    #[test]
    fn another_language_is_refused() {
        for fine in [None, Some("en"), Some("en-GB"), Some("English"), Some("")] {
            check(fine, Some("en")).unwrap();
        }
        check(Some("de"), None).unwrap();
        for other in ["de", "klingon"] {
            let error = check(Some(other), Some("en")).unwrap_err().to_string();
            assert_eq!(error, format!("this model hears English (en), not {other}"));
        }
    }
}
