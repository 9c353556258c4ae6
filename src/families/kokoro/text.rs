//! From a text to the numbers that the network reads: sounds by espeak-ng, in the alphabet that Kokoro was trained with.
//!
//! That alphabet is misaki's, which writes some sounds with a letter of their own. What espeak-ng says is brought into it by the
//! rules of misaki 0.9.4, which it has for English words that are in none of its dictionaries, and for other languages.

use super::{language::Language, vocabulary::Vocabulary};
use crate::{
    families::espeak_ng::{EspeakPhonemizer, without_flags},
    model::{ProgramFacts, RequestError},
    speech::Pronunciation,
    text::{PhonemeError, Phonemizer},
};

/// Symbols that are said at once, at most: what the network was trained on, but for the pads at its ends.
pub const LONGEST: usize = 510;
/// Around what is said.
const PAD: i64 = 0;
/// Stands between the letters of one sound.
const TIE: &str = "^";
/// Sounds of two letters, in a pronunciation that somebody wrote.
const TIED: [&str; 10] = ["aɪ", "aʊ", "dʒ", "eɪ", "tʃ", "ɔɪ", "oʊ", "əʊ", "ts", "dz"];

/// Of English, one after the other.
const ENGLISH: &[(&str, &str)] = &[
    ("ʔˌn\u{329}", "ʔn"),
    ("ʔn\u{329}", "ʔn"),
    ("a^ɪ", "I"),
    ("a^ʊ", "W"),
    ("d^ʒ", "ʤ"),
    ("e^ɪ", "A"),
    ("t^ʃ", "ʧ"),
    ("ɔ^ɪ", "Y"),
    ("ə^l", "ᵊl"),
    ("ʲo", "jo"),
    ("ʲə", "jə"),
    ("e", "A"),
    ("ʲ", ""),
    ("ɚ", "əɹ"),
    ("r", "ɹ"),
    ("x", "k"),
    ("ç", "k"),
    ("ɐ", "ə"),
    ("ɬ", "l"),
    ("\u{303}", ""),
];
const BRITISH: &[(&str, &str)] = &[("iə", "ɪə"), ("ə^ʊ", "Q")];
const AMERICAN: &[(&str, &str)] = &[("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", "")];
const ENGLISH_LAST: &[(&str, &str)] = &[("o", "ɔ"), ("ɾ", "T"), ("ʔ", "t"), (TIE, "")];
/// Of other languages.
const OTHERS: &[(&str, &str)] = &[
    ("a^ɪ", "I"),
    ("a^ʊ", "W"),
    ("d^z", "ʣ"),
    ("d^ʒ", "ʤ"),
    ("e^ɪ", "A"),
    ("o^ʊ", "O"),
    ("s^s", "S"),
    ("t^s", "ʦ"),
    ("t^ʃ", "ʧ"),
    ("ɔ^ɪ", "Y"),
    ("ə^ʊ", "Q"),
    (TIE, ""),
    ("-", ""),
];
/// What is between words of another language stands in parentheses, so that those of the text are others as long.
const PARENTHESES: [(&str, &str); 4] = [("«", "“"), ("»", "”"), ("(", "«"), (")", "»")];
const BACK: [(&str, &str); 2] = [("«", "("), ("»", ")")];

/// The front end.
pub struct FrontEnd {
    phonemizer: EspeakPhonemizer,
    vocabulary: Vocabulary,
}

// === impl FrontEnd ===

impl FrontEnd {
    pub fn new(program: ProgramFacts, vocabulary: Vocabulary) -> Self {
        Self { phonemizer: EspeakPhonemizer::new(program).tying(TIE), vocabulary }
    }

    /// The text as it is read, in parts that are said at once, pads at their ends. Where somebody says how a stretch sounds,
    /// that is taken.
    pub fn read(
        &self,
        text: &str,
        pronunciations: &[Pronunciation],
        language: Language,
    ) -> Result<Vec<Vec<i64>>, RequestError> {
        let Some(code) = language.code else {
            let message = format!(
                "{} cannot be spoken: it takes a reader of that language, which this server has not",
                language.name
            );
            return Err(RequestError::Unsupported { param: "language", message });
        };
        let (mut said, mut from) = (String::new(), 0);
        for Pronunciation { range, ipa } in pronunciations {
            said += &self.sounds(text.get(from..range.start).unwrap_or_default(), code, language)?;
            let tied = TIED.iter().fold(ipa.clone(), |ipa, sound| {
                let end = sound.char_indices().nth(1).map_or(0, |(at, _)| at);
                ipa.replace(sound, &format!("{}{TIE}{}", &sound[..end], &sound[end..]))
            });
            said += &written(&tied, language);
            from = range.end;
        }
        said += &self.sounds(text.get(from..).unwrap_or_default(), code, language)?;
        let symbols: Vec<char> = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
        let known: Vec<char> = symbols.into_iter().filter(|symbol| self.vocabulary.number(*symbol).is_some()).collect();
        if !known.iter().any(|symbol| symbol.is_alphabetic()) {
            let message = "the text has nothing that can be spoken; words would be right".to_owned();
            return Err(RequestError::Invalid { param: "text", message });
        }
        Ok(parts(&known).into_iter().map(|part| self.numbers(part)).collect())
    }

    /// Something short that can be said.
    pub fn any_part(&self) -> Vec<i64> {
        self.numbers(&['a', 'o'])
    }

    fn numbers(&self, symbols: &[char]) -> Vec<i64> {
        let numbers = symbols.iter().filter_map(|symbol| self.vocabulary.number(*symbol));
        [PAD].into_iter().chain(numbers).chain([PAD]).collect()
    }

    /// With the blanks at its ends.
    pub(super) fn sounds(&self, text: &str, code: &str, language: Language) -> Result<String, RequestError> {
        let words = text.trim();
        if words.is_empty() {
            return Ok(if text.is_empty() { String::new() } else { " ".to_owned() });
        }
        let blank = |present: bool| if present { " " } else { "" };
        let (before, after) = (text.starts_with(char::is_whitespace), text.ends_with(char::is_whitespace));
        let words = replaced(words, &PARENTHESES);
        let said = without_flags(&self.phonemizer.phonemes(code, &words).map_err(of_text)?);
        let said = replaced(&written(&said, language), &BACK);
        Ok(format!("{}{said}{}", blank(before), blank(after)))
    }
}

/// What espeak-ng says, in misaki's alphabet.
fn written(said: &str, language: Language) -> String {
    if !language.is_english() {
        return replaced(said, OTHERS);
    }
    // Where misaki's dictionary has the sound of "there", espeak-ng alone has to say it.
    let said = if language.is_british() { said.replace("e^ə", "ɛː") } else { said.to_owned() };
    let said = syllabic(&replaced(&said, ENGLISH));
    let said = replaced(&said, if language.is_british() { BRITISH } else { AMERICAN });
    replaced(&said, ENGLISH_LAST)
}

fn replaced(text: &str, by: &[(&str, &str)]) -> String {
    by.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A consonant that is a syllable has a short vowel before it.
fn syllabic(said: &str) -> String {
    const MARK: char = '\u{329}';
    let mut out = String::with_capacity(said.len());
    let mut chars = said.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_whitespace() && c != MARK && chars.next_if_eq(&MARK).is_some() {
            out.push('ᵊ');
        }
        out.extend((c != MARK).then_some(c));
    }
    out
}

/// As much as is said at once: cut at the end of a sentence, else of a clause, else between words.
pub(super) fn parts(symbols: &[char]) -> Vec<&[char]> {
    let (mut parts, mut rest) = (Vec::new(), symbols);
    while rest.len() > LONGEST {
        let part = &rest[..LONGEST];
        let after = |marks: &str| part.iter().rposition(|symbol| marks.contains(*symbol)).map(|at| at + 1);
        let end = after(".!?…").or_else(|| after(",;:")).or_else(|| after(" ")).unwrap_or(LONGEST);
        parts.push(&rest[..end]);
        rest = &rest[end..];
    }
    parts.push(rest);
    let spoken = |part: &&[char]| part.iter().any(|symbol| symbol.is_alphabetic());
    parts.into_iter().filter(spoken).collect()
}

fn of_text(error: PhonemeError) -> RequestError {
    let message = error.to_string();
    match error {
        PhonemeError::Language { .. } => RequestError::Unsupported { param: "language", message },
        PhonemeError::Text { .. } => RequestError::Invalid { param: "text", message },
        PhonemeError::Failed(reason) => {
            tracing::warn!(%reason, "espeak-ng did not say how a text sounds");
            RequestError::Broken
        }
    }
}
