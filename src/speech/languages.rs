//! The languages that models hear, and the names that people give them.

/// The code and the English name of every language that Whisper has a token for, in the order of the tokens.
///
/// Codes are ISO 639-1 where there is one; `haw` and `yue` are ISO 639-3, and `jw` is Whisper's for Javanese.
/// Source: openai/whisper, `tokenizer.py`.
#[rustfmt::skip]
pub const LANGUAGES: &[(&str, &str)] = &[
    ("en", "english"), ("zh", "chinese"), ("de", "german"), ("es", "spanish"), ("ru", "russian"), ("ko", "korean"),
    ("fr", "french"), ("ja", "japanese"), ("pt", "portuguese"), ("tr", "turkish"), ("pl", "polish"), ("ca", "catalan"),
    ("nl", "dutch"), ("ar", "arabic"), ("sv", "swedish"), ("it", "italian"), ("id", "indonesian"), ("hi", "hindi"),
    ("fi", "finnish"), ("vi", "vietnamese"), ("he", "hebrew"), ("uk", "ukrainian"), ("el", "greek"), ("ms", "malay"),
    ("cs", "czech"), ("ro", "romanian"), ("da", "danish"), ("hu", "hungarian"), ("ta", "tamil"), ("no", "norwegian"),
    ("th", "thai"), ("ur", "urdu"), ("hr", "croatian"), ("bg", "bulgarian"), ("lt", "lithuanian"), ("la", "latin"),
    ("mi", "maori"), ("ml", "malayalam"), ("cy", "welsh"), ("sk", "slovak"), ("te", "telugu"), ("fa", "persian"),
    ("lv", "latvian"), ("bn", "bengali"), ("sr", "serbian"), ("az", "azerbaijani"), ("sl", "slovenian"),
    ("kn", "kannada"), ("et", "estonian"), ("mk", "macedonian"), ("br", "breton"), ("eu", "basque"),
    ("is", "icelandic"), ("hy", "armenian"), ("ne", "nepali"), ("mn", "mongolian"), ("bs", "bosnian"),
    ("kk", "kazakh"), ("sq", "albanian"), ("sw", "swahili"), ("gl", "galician"), ("mr", "marathi"), ("pa", "punjabi"),
    ("si", "sinhala"), ("km", "khmer"), ("sn", "shona"), ("yo", "yoruba"), ("so", "somali"), ("af", "afrikaans"),
    ("oc", "occitan"), ("ka", "georgian"), ("be", "belarusian"), ("tg", "tajik"), ("sd", "sindhi"), ("gu", "gujarati"),
    ("am", "amharic"), ("yi", "yiddish"), ("lo", "lao"), ("uz", "uzbek"), ("fo", "faroese"), ("ht", "haitian creole"),
    ("ps", "pashto"), ("tk", "turkmen"), ("nn", "nynorsk"), ("mt", "maltese"), ("sa", "sanskrit"),
    ("lb", "luxembourgish"), ("my", "myanmar"), ("bo", "tibetan"), ("tl", "tagalog"), ("mg", "malagasy"),
    ("as", "assamese"), ("tt", "tatar"), ("haw", "hawaiian"), ("ln", "lingala"), ("ha", "hausa"), ("ba", "bashkir"),
    ("jw", "javanese"), ("su", "sundanese"), ("yue", "cantonese"),
];

/// Other names, each with its code.
const ALIASES: &[(&str, &str)] = &[
    ("burmese", "my"),
    ("castilian", "es"),
    ("flemish", "nl"),
    ("haitian", "ht"),
    ("jv", "jw"),
    ("letzeburgesch", "lb"),
    ("mandarin", "zh"),
    ("moldavian", "ro"),
    ("moldovan", "ro"),
    ("nb", "no"),
    ("panjabi", "pa"),
    ("pushto", "ps"),
    ("sinhalese", "si"),
    ("valencian", "ca"),
];

/// The code of a language given as a code (`en`), a locale (`en-GB`) or an English name (`English`).
pub fn code(given: &str) -> Option<&'static str> {
    let given = given.trim().to_lowercase();
    let primary = given.split(['-', '_']).next().unwrap_or_default();
    by_name(&given).or_else(|| by_code(primary))
}

/// The English name of a language, in lower case as OpenAI's `verbose_json` has it; the code itself if it has none here.
pub fn name(code: &str) -> &str {
    LANGUAGES.iter().find(|(known, _)| code == *known).map_or(code, |(_, name)| name)
}

fn by_name(given: &str) -> Option<&'static str> {
    let named = LANGUAGES.iter().find(|(code, name)| given == *code || given == *name).map(|(code, _)| *code);
    named.or_else(|| ALIASES.iter().find(|(alias, _)| given == *alias).map(|(_, code)| *code))
}

fn by_code(given: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(code, _)| given == *code).map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_locales_and_names_are_understood() {
        for (given, expected) in [
            ("en", Some("en")),
            (" English ", Some("en")),
            ("de-AT", Some("de")),
            ("zh_Hans", Some("zh")),
            ("Haitian Creole", Some("ht")),
            ("Mandarin", Some("zh")),
            ("cantonese", Some("yue")),
            ("yue", Some("yue")),
            ("jv", Some("jw")),
            ("klingon", None),
            ("", None),
        ] {
            assert_eq!(code(given), expected, "{given:?}");
        }
        assert_eq!((name("en"), name("yue"), name("und")), ("english", "cantonese", "und"));
    }

    #[test]
    fn no_name_means_two_languages() {
        let mut names: Vec<&str> = LANGUAGES.iter().flat_map(|(code, name)| [*code, *name]).collect();
        names.extend(ALIASES.iter().map(|(alias, _)| *alias));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
