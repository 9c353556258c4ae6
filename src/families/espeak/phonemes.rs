//! Phonemes by the program, as models were trained on them that read what PyPI's `phonemizer` wrote.
//!
//! That one splits a text at its punctuation, has espeak-ng say what lies between, takes the separators out of it, and puts
//! the punctuation back as it stood. So does this, by the program where that one loads the library. `tests/fixtures/espeak`
//! compares the two. They differ in what has no stress at all, a lone `though` between commas for example: the program
//! gives it a main stress, as it is heard, and the library the one of its dictionary.

use super::{child, speaker::written};
use crate::{
    model::ProgramFacts,
    text::{PhonemeError, Phonemizer},
};

/// What phonemizer 3.3.0 takes for punctuation.
const MARKS: &str = ";:,.!?¡¿—…\"«»“”(){}[]";
/// Between the sounds of a word.
const SEPARATOR: char = '_';
/// Bytes of a text, at most: some minutes of speech.
const LONGEST: usize = 16 << 10;
/// Names of languages that an error has room for.
const FEW: usize = 12;

/// The phonemizer.
#[derive(Debug)]
pub struct EspeakPhonemizer(ProgramFacts);

/// A part of a text.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Words(&'a str),
    /// With the white space around it.
    Marks(&'a str),
}

// === impl EspeakPhonemizer ===

impl EspeakPhonemizer {
    pub fn new(facts: ProgramFacts) -> Self {
        Self(facts)
    }

    /// The identifier of the voice that speaks a language, or that is called so.
    fn voice(&self, language: &str) -> Result<&str, PhonemeError> {
        let facts = &self.0;
        let voice = facts.voice(language).map(|(voice, _)| voice).or_else(|| facts.speaker_of(language));
        voice.map(|voice| voice.identifier.as_str()).ok_or_else(|| {
            let known = facts.voices.iter().take(FEW).map(|voice| voice.name.clone());
            let more = format!("and {} more that `espeak-ng --voices` lists", facts.voices.len().saturating_sub(FEW));
            PhonemeError::Language { asked: language.to_owned(), known: known.chain([more]).collect() }
        })
    }

    fn say(&self, voice: &str, words: &str) -> Result<String, PhonemeError> {
        let arguments = ["-q", "-b", "1", "--ipa=3", "--sep=_", "-v", voice, "--stdin"];
        let said = child::answer(&self.0.path, &arguments, Some(written(words)));
        Ok(joined(&said.map_err(PhonemeError::Failed)?))
    }
}

impl Phonemizer for EspeakPhonemizer {
    fn phonemes(&self, language: &str, text: &str) -> Result<String, PhonemeError> {
        let voice = self.voice(language)?;
        if text.len() > LONGEST {
            let (text, reason) = (text.chars().take(40).collect(), format!("it has more than {LONGEST} bytes"));
            return Err(PhonemeError::Text { text, reason });
        }
        let mut all = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Words(words) => all.push_str(&self.say(voice, words)?),
                Piece::Marks(marks) => all.push_str(marks),
            }
        }
        Ok(all.trim().to_owned())
    }
}

/// A text in words and what stands between them. White space alone is of the words.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let is_mark = |c: char| MARKS.contains(c);
    let between = |c: char| c.is_whitespace() || is_mark(c);
    let (mut pieces, mut rest, mut at) = (Vec::new(), text, 0);
    // A run of white space and marks is one piece, if there is a mark in it.
    while let Some(start) = rest[at..].find(between).map(|start| at + start) {
        let end = rest[start..].find(|c| !between(c)).map_or(rest.len(), |end| start + end);
        if !rest[start..end].contains(is_mark) {
            at = end;
            continue;
        }
        pieces.extend((start > 0).then(|| Piece::Words(&rest[..start])));
        pieces.push(Piece::Marks(&rest[start..end]));
        (rest, at) = (&rest[end..], 0);
    }
    pieces.extend((!rest.is_empty()).then_some(Piece::Words(rest)));
    pieces
}

/// The lines that the program writes, one a clause, as words between single spaces.
fn joined(lines: &str) -> String {
    let words = lines.split_whitespace().map(|word| word.replace(SEPARATOR, ""));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::survey, *};

    const FIXTURE: &str = include_str!("../../../tests/fixtures/espeak/phonemes.tsv");
    const PROGRAM: &str = "/usr/bin/espeak-ng";
    /// Whose clause has no stress in it.
    const OTHERWISE: &str = "Thought, through, though, tough, and thorough.";

    #[test]
    fn punctuation_stays_as_it_stood() {
        use Piece::{Marks, Words};
        assert_eq!(pieces("a b"), [Words("a b")]);
        assert_eq!(pieces("a , b."), [Words("a"), Marks(" , "), Words("b"), Marks(".")]);
        assert_eq!(
            pieces("\"So\"... (yes)  no"),
            [Marks("\""), Words("So"), Marks("\"... ("), Words("yes"), Marks(")  "), Words("no"),]
        );
        assert_eq!(pieces(" ¿é?"), [Marks(" ¿"), Words("é"), Marks("?")]);
        assert_eq!(pieces(""), []);
        assert_eq!(joined(" h_ə_l_ˈoʊ (en)w_ɜː_l_d(en)\n  ˈɪ_z _ \n"), "həlˈoʊ (en)wɜːld(en) ˈɪz");
    }

    #[test]
    fn phonemes_are_those_of_the_library() {
        if !Path::new(PROGRAM).is_file() {
            println!("skipped: espeak-ng is not installed (apt-get install espeak-ng)");
            return;
        }
        let facts = survey::of(Path::new(PROGRAM)).unwrap();
        let (about, rows) = FIXTURE.split_once('\n').unwrap();
        if !about.contains(&format!("espeak-ng {},", facts.version)) {
            println!("skipped: espeak-ng {} is not that of the fixture ({about})", facts.version);
            return;
        }
        let phonemizer = EspeakPhonemizer::new(facts);
        let mut compared = 0;
        for row in rows.lines() {
            let [voice, sentence, phonemes] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let ours = phonemizer.phonemes(voice, sentence).unwrap();
            assert_eq!(ours == phonemes, sentence != OTHERWISE, "{voice}: {sentence}: {ours}, not {phonemes}");
            compared += 1;
        }
        assert_eq!(compared, 150);
        let refused = |language: &str, text: &str| phonemizer.phonemes(language, text).unwrap_err().to_string();
        assert!(refused("tlh", "nuqneH").contains("the language \"tlh\" is not known"));
        assert!(refused("en", &"a".repeat(LONGEST + 1)).contains("more than 16384 bytes"));
    }
}
