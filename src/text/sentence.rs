//! Sentences by the rules of Unicode (UAX #29), with what those leave open: abbreviations, initials, numbers of items.
//!
//! A line break alone ends nothing, since texts are wrapped; a blank line ends a paragraph. The rules are applied to
//! ICU's table of characters here because the segmenters at hand look ahead again at every character that closes a
//! sentence, and take quadratic time on a megabyte of brackets.

use icu_properties::{CodePointMapData, props::SentenceBreak};

use super::Boundary;

/// The sentences of `text`, white space after them included: joined they are `text` again.
pub fn sentences(text: &str) -> Vec<&str> {
    let mut start = 0;
    let ends = ends(text).into_iter().map(|(end, _)| end);
    ends.map(|end| &text[std::mem::replace(&mut start, end)..end]).collect()
}

/// Where sentences end, in bytes, white space after them included, and whether a paragraph ends with them.
pub(super) fn ends(text: &str) -> Vec<(usize, Boundary)> {
    let mut scan = Scan { text, units: units(text), lower_ahead: Vec::new(), sentence: 0, word: 0, before: None };
    scan.lower_ahead = lower_ahead(&scan.units);
    scan.run()
}

/// A character with what modifies it.
#[derive(Clone, Copy)]
struct Unit {
    start: usize,
    kind: SentenceBreak,
}

fn units(text: &str) -> Vec<Unit> {
    let kinds = CodePointMapData::<SentenceBreak>::new();
    let all = text.char_indices().map(|(start, c)| Unit { start, kind: kinds.get(c) });
    all.filter(|unit| unit.start == 0 || !matches!(unit.kind, SentenceBreak::Extend | SentenceBreak::Format)).collect()
}

/// For each unit, whether the first letter or end of a sentence from there on is a small letter: SB8.
fn lower_ahead(units: &[Unit]) -> Vec<bool> {
    use SentenceBreak as B;
    let mut lower = false;
    let mut ahead = vec![false; units.len() + 1];
    for (at, unit) in units.iter().enumerate().rev() {
        match unit.kind {
            B::Lower => lower = true,
            B::OLetter | B::Upper | B::Sep | B::STerm | B::ATerm => lower = false,
            _ => {}
        }
        ahead[at] = lower;
    }
    ahead
}

fn is_white(kind: SentenceBreak) -> bool {
    matches!(kind, SentenceBreak::Sp | SentenceBreak::LF | SentenceBreak::CR | SentenceBreak::Sep)
}

fn is_end(kind: SentenceBreak) -> bool {
    matches!(kind, SentenceBreak::ATerm | SentenceBreak::STerm)
}

struct Scan<'a> {
    text: &'a str,
    units: Vec<Unit>,
    lower_ahead: Vec<bool>,
    /// The byte at which the sentence at hand starts.
    sentence: usize,
    /// The byte at which the word at hand starts.
    word: usize,
    /// The word before it, if it is in the same sentence.
    before: Option<&'a str>,
}

impl<'a> Scan<'a> {
    fn run(mut self) -> Vec<(usize, Boundary)> {
        let mut ends = Vec::new();
        let mut at = 0;
        while at < self.units.len() {
            let (next, end) = self.step(at);
            if let Some(boundary) = end {
                self.sentence = self.byte(next);
                self.before = None;
                ends.push((self.sentence, boundary));
            }
            at = next;
        }
        if self.sentence < self.text.len() {
            ends.push((self.text.len(), Boundary::Sentence));
        }
        ends
    }

    /// Goes past one unit, or past the end of a sentence and the white space after it.
    fn step(&mut self, at: usize) -> (usize, Option<Boundary>) {
        let terms = self.skip(at, is_end);
        let closed = if terms > at { self.skip(terms, |kind| kind == SentenceBreak::Close) } else { at };
        let white = self.skip(closed, is_white);
        if white == at {
            return (at + 1, None);
        }
        let paragraph = self.ends_paragraph(closed, white);
        let sentence = terms > at && self.ends_sentence(at, terms, closed, white);
        if white > closed {
            self.before = Some(&self.text[self.word..self.byte(closed)]);
            self.word = self.byte(white);
        }
        let end = if paragraph { Some(Boundary::Paragraph) } else { sentence.then_some(Boundary::Sentence) };
        (white, end)
    }

    /// SB6 to SB11: what stops at `at` by `terms - at` marks, closes until `closed`, and goes on at `next`.
    fn ends_sentence(&self, at: usize, terms: usize, closed: usize, next: usize) -> bool {
        use SentenceBreak as B;
        let Some(follows) = self.units.get(next).map(|unit| unit.kind) else { return true };
        if follows == B::SContinue || is_end(follows) {
            return false;
        }
        if self.units[terms - 1].kind == B::STerm {
            return true;
        }
        let glued = next == terms;
        let after_letter = at > 0 && matches!(self.units[at - 1].kind, B::Upper | B::Lower);
        let within = glued && (follows == B::Numeric || (after_letter && follows == B::Upper));
        let single = terms == at + 1 && closed == terms;
        !(within || self.lower_ahead[next] || (single && self.is_abbreviation(at)))
    }

    /// Whether the word before the full stop at `at` is written with one.
    fn is_abbreviation(&self, at: usize) -> bool {
        const LONGEST: usize = 24; // bytes
        let stop = self.units[at].start;
        if stop.saturating_sub(self.word) > LONGEST {
            return false;
        }
        let word = self.text[self.word..stop].trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (None, _) => false,
            (Some(c), None) if c.is_uppercase() => self.before.is_none_or(may_precede_initial),
            (Some(c), _) if c.is_ascii_digit() => self.is_item_number(word),
            _ => is_dotted(word) || ABBREVIATIONS.contains(&word.to_lowercase().as_str()),
        }
    }

    /// `1. Stir.` is one sentence.
    fn is_item_number(&self, word: &str) -> bool {
        self.before.is_none() && word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_digit())
    }

    fn ends_paragraph(&self, from: usize, to: usize) -> bool {
        let breaks = self.units[from..to].iter().map(|unit| match unit.kind {
            SentenceBreak::LF => 1,
            SentenceBreak::Sep if self.text[unit.start..].starts_with('\u{2029}') => 2,
            _ => 0,
        });
        breaks.sum::<usize>() >= 2
    }

    fn skip(&self, from: usize, kind: fn(SentenceBreak) -> bool) -> usize {
        from + self.units[from..].iter().take_while(|unit| kind(unit.kind)).count()
    }

    fn byte(&self, unit: usize) -> usize {
        self.units.get(unit).map_or(self.text.len(), |unit| unit.start)
    }
}

/// `e.g`, `U.S`, `Ph.D`: short parts with full stops between them.
fn is_dotted(word: &str) -> bool {
    word.contains('.') && word.split('.').all(|part| part.chars().count() <= 2)
}

/// A name or another initial: `vitamin C. The` ends a sentence, `Ursula K. Le` does not.
fn may_precede_initial(word: &str) -> bool {
    word.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(char::is_uppercase)
}

/// Words that a capital letter or a number may follow, in small letters. Those that end a sentence when a capital follows
/// (`etc.`) need no line.
const ABBREVIATIONS: &[&str] = &[
    // English
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "gen", "sen", "rep", "gov", "pres", "capt", "cmdr", "col", "lt",
    "maj", "sgt", "st", "mt", "ft", "vs", "no", "nos", "vol", "fig", "figs", "eq", "sec", "ch", "pp", "pt", "approx",
    "est", "dept", "univ", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon",
    "tue", "tues", "wed", "thu", "thurs", "fri", "cf", "ca", "messrs", "esp", "incl", // German
    "hr", "fr", "nr", "bzw", "evtl", "ggf", "inkl", "str", "tel", "abs", "art", "bd", "dipl", "ing",
    // French, Spanish, Italian, Portuguese
    "mme", "mlle", "mm", "pr", "me", "sr", "sra", "srta", "dra", "ud", "uds", "sig", "dott", "av", "avda", "núm", "pág",
    // Russian
    "ул", "стр", "рис", "им", "проф", "акад", "гр", "св",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sentences: &[&str]) {
        assert_eq!(super::sentences(&sentences.concat()), sentences);
    }

    #[test]
    fn ends_sentences_where_people_do() {
        check(&["One. ", "Two! ", "Three? ", "Four… five."]);
        check(&["He said \"No.\" ", "She left."]);
        check(&["Wait... ", "What?! ", "(Yes.) ", "No."]);
        check(&["Wrapped\nlines are one. ", "Next."]);
        check(&["A heading\n\n", "A text."]);
        check(&["A heading\r\n\r\n", "A text."]);
        check(&["你好！", "我是人。", "再见"]);
        check(&["क्या हाल है। ", "ठीक।"]);
    }

    #[test]
    fn abbreviations_end_nothing() {
        check(&["Dr. Smith met Mrs. Jones at St. Paul's vs. Mr. Xu. ", "They talked."]);
        check(&["Fruit, e.g. apples or i.e. Pears. ", "Next."]);
        check(&["The U.S. Army came. ", "It left."]);
        check(&["J. R. R. Tolkien and Ursula K. Le Guin wrote. ", "We read."]);
        check(&["Take vitamin C. ", "Then rest."]);
        check(&["Milk, eggs, etc. ", "Then flour."]);
        check(&["Milk, eggs, etc. and flour."]);
        check(&["It costs 3.50 now. ", "See No. 5 on p. 12 of example.com today."]);
        check(&["1. Stir. ", "2. Bake for 1. ", "Eat."]);
        check(&["Das ist z.B. Herr bzw. Frau Nr. 5. ", "Gut."]);
    }

    #[test]
    fn nothing_has_no_sentences() {
        assert!(sentences("").is_empty());
        check(&["   "]);
        check(&["..."]);
        check(&["\u{301}\u{301}"]);
    }
}
