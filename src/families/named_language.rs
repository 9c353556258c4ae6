//! The language of a model that hears one: its files do not tell it, and its name mostly does.

use crate::{model::RequestError, speech::languages};

/// What Alpha Cephei calls some languages, with their codes.
const OTHERWISE: [(&str, &str); 5] = [("cn", "zh"), ("kz", "kk"), ("ua", "uk"), ("vn", "vi"), ("gr", "el")];
/// What such models are called by first.
const FAMILIES: [&str; 3] = ["vosk", "zipformer", "sherpa"];
/// What may stand between that and the language.
const WORDS: [&str; 6] = ["model", "small", "onnx", "streaming", "zipformer", "transducer"];

/// ISO 639-1 code of a model that is called so: `vosk-model-small-en-us-0.15`, `vosk-de`, `sherpa-onnx-zipformer-en-2023`.
pub fn of_name(name: &str) -> Option<&'static str> {
    let short = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let after = FAMILIES.into_iter().find_map(|family| short.strip_prefix(family))?;
    let mut parts = after.split(['-', '_']).skip(1);
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
            ("alphacep/vosk-model-small-streaming-ru", Some("ru")),
            ("sherpa-onnx-streaming-zipformer-en-2023-06-26", Some("en")),
            ("zipformer-ru", Some("ru")),
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
