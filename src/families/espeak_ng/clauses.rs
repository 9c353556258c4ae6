//! A text clause by clause, each with the mark that ends it: as a program that is linked with the library would be told it.
//!
//! The command line writes a line for each clause and leaves the marks out. Where the clauses end is told by the rules of
//! espeak-ng's `readclause.c`, as far as they do not depend on its dictionaries; where that gives as many clauses as there are
//! lines, each line is a clause, and else every clause is asked for by itself.

use super::{
    child::{self, written},
    phonemes::EspeakPhonemizer,
};
use crate::text::PhonemeError;

/// A stretch that is said in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// IPA, words between single spaces.
    pub phonemes: String,
    /// One of `. , : ; ! ?`; `None`: another mark, or none.
    pub mark: Option<char>,
    pub ends_sentence: bool,
}

/// A clause as it is written.
#[derive(Debug, PartialEq, Eq)]
struct Stretch<'a> {
    /// With its mark.
    text: &'a str,
    mark: Option<char>,
    ends_sentence: bool,
}

// === impl EspeakPhonemizer ===

impl EspeakPhonemizer {
    /// How a text sounds, without the flags of words that are in another language than the voice.
    pub fn clauses(&self, language: &str, text: &str) -> Result<Vec<Clause>, PhonemeError> {
        let voice = self.voice(language)?;
        Self::check_length(text)?;
        let stretches = stretches(text);
        let said = self.lines(voice, text)?;
        let said: Vec<String> = match said.len() == stretches.len() {
            true => said,
            false => {
                let alone = |stretch: &Stretch<'_>| Ok(self.lines(voice, stretch.text)?.join(" "));
                stretches.iter().map(alone).collect::<Result<_, PhonemeError>>()?
            }
        };
        let clause = |(stretch, said): (Stretch<'_>, String)| Clause {
            phonemes: without_flags(&said),
            mark: stretch.mark,
            ends_sentence: stretch.ends_sentence,
        };
        Ok(stretches.into_iter().zip(said).map(clause).collect())
    }

    fn lines(&self, voice: &str, text: &str) -> Result<Vec<String>, PhonemeError> {
        let arguments = ["-q", "-b", "1", "--ipa", "-v", voice, "--stdin"];
        let said = child::answer(self.program(), &arguments, Some(written(text))).map_err(PhonemeError::Failed)?;
        Ok(said.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }
}

/// What a mark means, and whether a word may follow it at once.
fn meaning(c: char) -> Option<(Option<char>, bool)> {
    Some(match c {
        '.' | ',' | ';' | '!' | '?' | ':' => (Some(c), false),
        '،' => (Some(','), false),
        '؛' => (Some(';'), false),
        '؟' => (Some('?'), false),
        '।' | '॥' => (Some('.'), false),
        '–' | '—' => (Some(';'), true),
        '…' => (None, true),
        '。' | '．' => (Some('.'), true),
        '、' | '，' => (Some(','), true),
        '；' => (Some(';'), true),
        '：' => (Some(':'), true),
        '！' => (Some('!'), true),
        '？' => (Some('?'), true),
        _ => return None,
    })
}

/// The clauses of a text that have something in them that is said.
fn stretches(text: &str) -> Vec<Stretch<'_>> {
    let (mut found, mut from, mut speaks) = (Vec::new(), 0, false);
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let after = &text[at + c.len_utf8()..];
        let end = match meaning(c) {
            _ if !speaks => None,
            Some((mark, joins)) if joins || is_end(c, after) => match c == '.' && after.starts_with('.') {
                true => Some((None, false)),
                false => Some(ending(mark, after)),
            },
            None if c == '\n' && is_empty_line(after) => Some((None, true)),
            _ => None,
        };
        match end {
            Some((mark, ends_sentence)) => {
                let next = rest.peek().map_or(text.len(), |(next, _)| *next);
                found.push(Stretch { text: &text[from..next], mark, ends_sentence });
                (from, speaks) = (next, false);
            }
            None => speaks |= c.is_alphanumeric(),
        }
    }
    if speaks {
        found.push(Stretch { text: &text[from..], mark: None, ends_sentence: true });
    }
    found
}

/// Whether a mark ends a clause, by what comes after it.
fn is_end(mark: char, after: &str) -> bool {
    let closes = |c: char| ")]}\"'»«”“’‘›".contains(c);
    let ends = match after.chars().next() {
        None => true,
        Some(next) => next.is_whitespace() || closes(next) || meaning(next).is_some(),
    };
    // What goes on in a small letter is an abbreviation; several dots are more than one.
    let next = after.trim_start_matches(|c: char| c.is_whitespace() || closes(c)).chars().next();
    ends && (mark != '.' || after.starts_with('.') || !next.is_some_and(char::is_lowercase))
}

/// What a mark ends. Before an empty line it is the paragraph, unless something is asked or called.
fn ending(mark: Option<char>, after: &str) -> (Option<char>, bool) {
    let white = &after[..after.len() - after.trim_start().len()];
    match mark {
        Some('!' | '?') => (mark, true),
        _ if white.matches('\n').count() > 1 => (None, true),
        _ => (mark, mark == Some('.')),
    }
}

/// Whether nothing stands in the line that begins here.
fn is_empty_line(text: &str) -> bool {
    text.split_once('\n').is_some_and(|(line, _)| line.trim().is_empty())
}

/// `(en)` and the like, between which words of another language stand.
pub fn without_flags(said: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(said.len()), said);
    while let Some((before, flag)) = rest.split_once('(') {
        let Some((_, after)) = flag.split_once(')') else { break };
        kept.push_str(before);
        rest = after;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &str) -> Vec<(&str, Option<char>, bool)> {
        stretches(text).into_iter().map(|it| (it.text.trim(), it.mark, it.ends_sentence)).collect()
    }

    #[test]
    fn clauses_end_where_those_of_the_library_do() {
        assert_eq!(
            marks("Hello, world! Yes?"),
            [("Hello,", Some(','), false), ("world!", Some('!'), true), ("Yes?", Some('?'), true)]
        );
        assert_eq!(
            marks("It costs 3.5. e.g. this; that: so"),
            [("It costs 3.5. e.g. this;", Some(';'), false), ("that:", Some(':'), false), ("so", None, true)]
        );
        assert_eq!(
            marks("a — dash… and then... more"),
            [("a —", Some(';'), false), ("dash…", None, false), ("and then.", None, false), (".. more", None, true)]
        );
        assert_eq!(
            marks("He said \"yes.\" Then (well, no.) Hello?! Yes"),
            [
                ("He said \"yes.", Some('.'), true),
                ("\" Then (well,", Some(','), false),
                ("no.", Some('.'), true),
                (") Hello?", Some('?'), true),
                ("! Yes", None, true)
            ]
        );
        assert_eq!(marks("one\ntwo\n \nthree"), [("one\ntwo", None, true), ("three", None, true)]);
        assert_eq!(marks("3,000 a,b 10:30 c.d"), [("3,000 a,b 10:30 c.d", None, true)]);
        assert_eq!(marks("你好，世界。"), [("你好，", Some(','), false), ("世界。", Some('.'), true)]);
        for nothing in ["", " ", "...", "— !", "\n\n"] {
            assert_eq!(marks(nothing), [], "{nothing:?}");
        }
    }

    /// [What the library says](../../../tests/fixtures/piper/make.py) of the end of each clause, in several languages.
    #[test]
    fn clauses_end_as_those_of_the_fixture() {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/piper/front.json")).unwrap();
        let rows = all["rows"].as_array().unwrap();
        assert!(rows.len() > 24);
        for row in rows {
            let text = row["text"].as_str().unwrap();
            let expected = row["clauses"].as_array().unwrap().iter();
            let expected: Vec<_> = expected.map(|it| (it[1].as_str().unwrap(), it[2].as_bool().unwrap())).collect();
            let found: Vec<_> = marks(text)
                .into_iter()
                .map(|(_, mark, end)| (mark.map(String::from).unwrap_or_default(), end))
                .collect();
            let found: Vec<_> = found.iter().map(|(mark, end)| (mark.as_str(), *end)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn flags_are_left_out() {
        assert_eq!(without_flags("lə (en)wˈɜːld(fr) a"), "lə wˈɜːld a");
        assert_eq!(without_flags("a (b"), "a (b");
    }
}
