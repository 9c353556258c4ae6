//! The languages that Zonos was told of, by the names that espeak-ng has for them.

use crate::speech::languages;

/// In the order of the model's table.
#[rustfmt::skip]
pub const LANGUAGES: [&str; 109] = [
    "af", "am", "an", "ar", "as", "az", "ba", "bg", "bn", "bpy", "bs", "ca", "cmn", "cs", "cy", "da", "de", "el", "en-029",
    "en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us", "eo", "es", "es-419", "et", "eu",
    "fa", "fa-latn", "fi", "fr-be", "fr-ch", "fr-fr", "ga", "gd", "gn", "grc", "gu", "hak", "hi", "hr", "ht", "hu", "hy",
    "hyw", "ia", "id", "is", "it", "ja", "jbo", "ka", "kk", "kl", "kn", "ko", "kok", "ku", "ky", "la", "lfn", "lt", "lv",
    "mi", "mk", "ml", "mr", "ms", "mt", "my", "nb", "nci", "ne", "nl", "om", "or", "pa", "pap", "pl", "pt", "pt-br", "py",
    "quc", "ro", "ru", "ru-lv", "sd", "shn", "si", "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "tn", "tr", "tt", "ur",
    "uz", "vi", "vi-vn-x-central", "vi-vn-x-south", "yue",
];

/// Of a text that does not say its own.
const USUAL: &str = "en-us";
/// What people call languages whose varieties alone are in the table, and which of them is meant.
const USUAL_VARIETIES: [(&str, &str); 4] = [("en", "en-us"), ("fr", "fr-fr"), ("no", "nb"), ("zh", "cmn")];

/// A language of the table, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language {
    pub code: &'static str,
    pub id: usize,
}

/// That of a code of the table, of any locale or English name that means one; English of the USA if nothing is said. `None`:
/// there is none of that name.
pub fn find(asked: Option<&str>) -> Option<Language> {
    let asked = asked.unwrap_or(USUAL).trim().to_lowercase().replace('_', "-");
    let mut tag = asked.as_str();
    loop {
        if let Some(known) = known(tag) {
            return Some(known);
        }
        match tag.rfind('-') {
            Some(end) => tag = &tag[..end],
            None => return languages::code(&asked).and_then(known),
        }
    }
}

fn known(tag: &str) -> Option<Language> {
    let variety = USUAL_VARIETIES.iter().find(|(name, _)| *name == tag).map_or(tag, |(_, variety)| variety);
    let id = LANGUAGES.iter().position(|code| *code == variety)?;
    Some(Language { code: LANGUAGES[id], id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_codes_and_names() {
        let code = |asked| find(asked).map(|language| language.code);
        for (asked, expected) in [
            ("en-us", "en-us"),
            ("en", "en-us"),
            ("en-GB", "en-gb"),
            ("en_AU", "en-us"),
            ("English", "en-us"),
            ("de-AT", "de"),
            ("German", "de"),
            ("fr", "fr-fr"),
            ("fr-CA", "fr-fr"),
            ("pt-BR", "pt-br"),
            ("pt-PT", "pt"),
            ("es-419", "es-419"),
            ("zh-CN", "cmn"),
            ("mandarin", "cmn"),
            ("norwegian", "nb"),
            ("ja", "ja"),
        ] {
            assert_eq!(code(Some(asked)), Some(expected), "{asked}");
        }
        assert_eq!((code(None), code(Some("tlh")), code(Some(""))), (Some("en-us"), None, None));
        assert_eq!(find(Some("yue")).map(|language| language.id), Some(108));
        assert_eq!(find(None).map(|language| language.id), Some(24));
    }
}
