//! Phonemes by the program, as models were trained on them that read what PyPI's `phonemizer` wrote.
//!
//! That one splits a text at its punctuation, has the library of espeak-ng say what lies between, takes the separators out of
//! it, and puts the punctuation back as it stood. So does this, by the program. The program stresses something in whatever it
//! is given, as it is heard, where the library leaves a lone `though` or `the` as its dictionary has it; but not in what a sound
//! of somebody else's is to follow, so each stretch ends in such a one, which never comes. `tests/fixtures/espeak` compares the
//! two.

use std::path::Path;

use super::child::{self, written};
use crate::{
    model::ProgramFacts,
    text::{PhonemeError, Phonemizer},
};

/// What phonemizer 3.3.0 takes for punctuation.
const MARKS: &str = ";:,.!?¡¿—…\"«»“”(){}[]";
/// Between the letters of a sound.
const SEPARATOR: char = '_';
/// Ends a clause without a stress of its own. Nobody looks for the sound.
const UNSTRESSED: &str = r#"<audio src="x"/>"#;
/// Bytes of a text, at most: some minutes of speech.
const LONGEST: usize = 16 << 10;
/// Names of languages that an error has room for.
const FEW: usize = 12;

/// The phonemizer.
#[derive(Debug)]
pub struct EspeakPhonemizer {
    facts: ProgramFacts,
    marks: &'static str,
    /// Stands between the letters of one sound.
    tie: &'static str,
}

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
        Self { facts, marks: MARKS, tie: "" }
    }

    /// Where a sound is written with several letters, this stands between them.
    pub fn tying(self, tie: &'static str) -> Self {
        Self { tie, ..self }
    }

    /// For a model whose texts were split at these characters instead. A blank may be among them: then each word is said by
    /// itself.
    pub fn splitting_at(self, marks: &'static str) -> Self {
        Self { marks, ..self }
    }

    /// That somebody speaks a language.
    pub fn check(&self, language: &str) -> Result<(), PhonemeError> {
        self.voice(language).map(drop)
    }

    pub(super) fn program(&self) -> &Path {
        &self.facts.path
    }

    pub(super) fn check_length(text: &str) -> Result<(), PhonemeError> {
        if text.len() > LONGEST {
            let (text, reason) = (text.chars().take(40).collect(), format!("it has more than {LONGEST} bytes"));
            return Err(PhonemeError::Text { text, reason });
        }
        Ok(())
    }

    /// The identifier of the voice that speaks a language, or that is called so.
    pub(super) fn voice(&self, language: &str) -> Result<&str, PhonemeError> {
        let facts = &self.facts;
        let voice = facts.voice(language).map(|(voice, _)| voice).or_else(|| facts.speaker_of(language));
        voice.map(|voice| voice.identifier.as_str()).ok_or_else(|| {
            let known = facts.voices.iter().take(FEW).map(|voice| voice.name.clone());
            let more = format!("and {} more that `espeak-ng --voices` lists", facts.voices.len().saturating_sub(FEW));
            PhonemeError::Language { asked: language.to_owned(), known: known.chain([more]).collect() }
        })
    }

    /// Of each stretch: all of those that are one clause for sure by one process, of which a line comes for each.
    fn say_all(&self, voice: &str, stretches: &[&str]) -> Result<Vec<String>, PhonemeError> {
        let together: Vec<&str> = stretches.iter().copied().filter(|words| is_clause(words)).collect();
        let said = if together.is_empty() { String::new() } else { self.say(voice, &together)? };
        let lines: Vec<&str> = said.strip_suffix("\n\n").unwrap_or_default().split('\n').collect();
        let mut lines = Some(lines).filter(|lines| lines.len() == together.len()).into_iter().flatten();
        let of_stretch = |words: &&str| match is_clause(words).then(|| lines.next()).flatten() {
            Some(line) => Ok(joined(line, self.tie)),
            None => self.say(voice, &[words]).map(|said| joined(&said, self.tie)),
        };
        stretches.iter().map(of_stretch).collect()
    }

    fn say(&self, voice: &str, stretches: &[&str]) -> Result<String, PhonemeError> {
        let arguments = ["-m", "-q", "-b", "1", "--ipa=3", "--sep=_", "-v", voice, "--stdin"];
        let text = stretches.iter().flat_map(|words| [marked_up(words), UNSTRESSED.to_owned()]).collect();
        let said = child::answer(&self.facts.path, &arguments, Some(text));
        said.map_err(PhonemeError::Failed)
    }
}

impl Phonemizer for EspeakPhonemizer {
    fn phonemes(&self, language: &str, text: &str) -> Result<String, PhonemeError> {
        let voice = self.voice(language)?;
        Self::check_length(text)?;
        let pieces = pieces(text, self.marks);
        let words = pieces.iter().filter_map(|piece| if let Piece::Words(words) = piece { Some(*words) } else { None });
        let mut said = self.say_all(voice, &words.collect::<Vec<_>>())?.into_iter();
        let mut all = String::new();
        for piece in pieces {
            match piece {
                Piece::Words(_) => all.extend(said.next()),
                Piece::Marks(marks) => all.push_str(marks),
            }
        }
        Ok(all.trim().to_owned())
    }
}

/// As SSML.
fn marked_up(words: &str) -> String {
    written(words).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Whether espeak-ng does not cut it further, for sure: there is nothing in it that some script ends a sentence with.
fn is_clause(words: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || " '’-".contains(c) || ('\u{300}'..='\u{36f}').contains(&c);
    words.chars().all(joins)
}

/// A text in words and what stands between them. White space alone is of the words.
fn pieces<'a>(text: &'a str, marks: &str) -> Vec<Piece<'a>> {
    let is_mark = |c: char| marks.contains(c);
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
fn joined(lines: &str, tie: &str) -> String {
    let words = lines.split_whitespace().map(|word| word.replace(SEPARATOR, tie));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{super::survey, *};

    const FIXTURE: &str = include_str!("../../../tests/fixtures/espeak/phonemes.tsv");
    const PROGRAM: &str = "/usr/bin/espeak-ng";

    #[test]
    fn punctuation_stays_as_it_stood() {
        use Piece::{Marks, Words};
        let pieces = |text| pieces(text, MARKS);
        assert_eq!(pieces("a b"), [Words("a b")]);
        assert_eq!(pieces("a , b."), [Words("a"), Marks(" , "), Words("b"), Marks(".")]);
        assert_eq!(
            pieces("\"So\"... (yes)  no"),
            [Marks("\""), Words("So"), Marks("\"... ("), Words("yes"), Marks(")  "), Words("no"),]
        );
        assert_eq!(pieces(" ¿é?"), [Marks(" ¿"), Words("é"), Marks("?")]);
        assert_eq!(pieces(""), []);
        assert_eq!(super::pieces("a b, c", ", "), [Words("a"), Marks(" "), Words("b"), Marks(", "), Words("c")]);
        assert_eq!(joined(" h_ə_l_ˈoʊ (en)w_ɜː_l_d(en)\n  ˈɪ_z _ \n", ""), "həlˈoʊ (en)wɜːld(en) ˈɪz");
        assert_eq!(joined("hˈa_ʊ ɑː_ɹ", "^"), "hˈa^ʊ ɑː^ɹ");
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
            assert_eq!(ours, phonemes, "{voice}: {sentence}");
            compared += 1;
        }
        assert_eq!(compared, 150);
        let by_word = EspeakPhonemizer::new(survey::of(Path::new(PROGRAM)).unwrap()).splitting_at(" ,.");
        let said = |text: &str| by_word.phonemes("en-us", text).unwrap();
        assert_eq!(said("The cat, the [[hat]] <b> c."), "ðə kˈæt, ðə hˈæt bˈiː sˈiː.");
        let refused = |language: &str, text: &str| phonemizer.phonemes(language, text).unwrap_err().to_string();
        assert!(refused("tlh", "nuqneH").contains("the language \"tlh\" is not known"));
        assert!(refused("en", &"a".repeat(LONGEST + 1)).contains("more than 16384 bytes"));
    }
}
