//! The languages that Kokoro was trained on, by the first letter of a voice's name.

use crate::{model::RequestError, speech::languages};

/// A language, as the front end reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language {
    /// Of a voice's name.
    letter: char,
    /// As espeak-ng calls it; `None`: it takes a reader of that language, which is not here.
    pub code: Option<&'static str>,
    pub name: &'static str,
    /// BCP 47.
    pub tag: &'static str,
}

const LANGUAGES: &[Language] = &[
    Language { letter: 'a', code: Some("en-us"), name: "American English", tag: "en-US" },
    Language { letter: 'b', code: Some("en-gb"), name: "British English", tag: "en-GB" },
    Language { letter: 'e', code: Some("es"), name: "Spanish", tag: "es" },
    Language { letter: 'f', code: Some("fr-fr"), name: "French", tag: "fr" },
    Language { letter: 'h', code: Some("hi"), name: "Hindi", tag: "hi" },
    Language { letter: 'i', code: Some("it"), name: "Italian", tag: "it" },
    Language { letter: 'j', code: None, name: "Japanese", tag: "ja" },
    Language { letter: 'p', code: Some("pt-br"), name: "Brazilian Portuguese", tag: "pt-BR" },
    Language { letter: 'z', code: None, name: "Chinese", tag: "zh" },
];

/// That of a voice; American English where its name does not say.
pub fn of_voice(name: &str) -> Language {
    let letter = name.chars().next().filter(|_| name.chars().nth(2) == Some('_'));
    LANGUAGES.iter().find(|language| Some(language.letter) == letter).copied().unwrap_or(LANGUAGES[0])
}

/// The one that is asked for, in the variety of the voice where there are several.
pub fn asked(asked: Option<&str>, voice: Language) -> Result<Language, RequestError> {
    let Some(asked) = asked else { return Ok(voice) };
    let lower = asked.trim().to_ascii_lowercase().replace('_', "-");
    let exact = || LANGUAGES.iter().find(|language| language.tag.eq_ignore_ascii_case(&lower));
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_owned();
    let code = languages::code(asked).map_or_else(|| primary(&lower), str::to_owned);
    let able = |language: &&Language| primary(language.tag) == code;
    let found = exact().copied().or(Some(voice).filter(|voice| able(&voice)));
    found.or_else(|| LANGUAGES.iter().find(able).copied()).ok_or_else(|| {
        let known: Vec<&str> = LANGUAGES.iter().filter(|it| it.code.is_some()).map(|language| language.tag).collect();
        let message = format!("this model does not speak {asked}; it speaks {}", known.join(", "));
        RequestError::Unsupported { param: "language", message }
    })
}

// === impl Language ===

impl Language {
    pub fn is_english(self) -> bool {
        matches!(self.letter, 'a' | 'b')
    }

    pub fn is_british(self) -> bool {
        self.letter == 'b'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_says_its_language_and_a_request_may_say_another() {
        let of = |voice| of_voice(voice).tag;
        assert_eq!(
            [of("af_bella"), of("bm_george"), of("ff_siwis"), of("anna"), of("")],
            ["en-US", "en-GB", "fr", "en-US", "en-US"]
        );
        let found = |wanted, voice| asked(Some(wanted), of_voice(voice)).map(|language| language.tag);
        assert_eq!(found("en", "bm_george"), Ok("en-GB"));
        assert_eq!(found("en-US", "bm_george"), Ok("en-US"));
        assert_eq!(found("English", "ff_siwis"), Ok("en-US"));
        assert_eq!(found("pt", "af_bella"), Ok("pt-BR"));
        assert_eq!(asked(None, of_voice("ef_dora")).map(|language| language.tag), Ok("es"));
        let refused = found("de", "af_bella").unwrap_err().to_string();
        assert!(refused.contains("does not speak de; it speaks en-US, en-GB, es, fr"), "{refused}");
    }
}
