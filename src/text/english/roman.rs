//! Roman numerals where people write them: after the names of rulers, wars, chapters.

use super::{
    number::{cardinal, ordinal},
    words::{Reading, Words},
};

/// After these a numeral counts.
const COUNTED: &[&str] = &[
    "chapter", "part", "section", "act", "scene", "volume", "vol", "book", "war", "bowl", "phase", "type", "class",
    "stage", "grade", "level", "appendix", "article", "title", "fantasy", "episode", "mark", "figure", "fig", "table",
    "canto", "division", "corps", "tier", "schedule", "annex", "lesson", "unit", "season", "series", "category",
    "factor", "no",
];

/// After these it is a rank: `Henry VIII`, `Henry the eighth`.
const RULERS: &[&str] = &[
    "albert",
    "alexander",
    "alfonso",
    "amenhotep",
    "anne",
    "benedict",
    "boniface",
    "carl",
    "catherine",
    "charles",
    "christian",
    "clement",
    "cleopatra",
    "constantine",
    "darius",
    "david",
    "edward",
    "elizabeth",
    "emmanuel",
    "ferdinand",
    "francis",
    "frederick",
    "george",
    "gregory",
    "gustav",
    "haakon",
    "harald",
    "henry",
    "innocent",
    "isabella",
    "ivan",
    "james",
    "john",
    "joseph",
    "julius",
    "leo",
    "leopold",
    "louis",
    "malcolm",
    "mary",
    "maximilian",
    "mehmed",
    "napoleon",
    "nicholas",
    "olav",
    "otto",
    "paul",
    "pedro",
    "peter",
    "philip",
    "pius",
    "ptolemy",
    "ramesses",
    "ramses",
    "richard",
    "robert",
    "selim",
    "sixtus",
    "suleiman",
    "theodosius",
    "thutmose",
    "umberto",
    "urban",
    "victor",
    "wilhelm",
    "william",
    "xerxes",
];

/// `Henry VIII`, `World War II`, `Chapter IV`; after other names only what has `II` in it, since `CD` and `MIX` are words.
pub(super) fn read(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    let value = value(core)?;
    if at == 0 || !words.tail(at - 1).trim_start_matches('.').is_empty() {
        return None;
    }
    let before = words.core(at - 1);
    let capital = before.starts_with(char::is_uppercase);
    let small = before.to_lowercase();
    let number = cardinal(&value.to_string());
    let text = if COUNTED.contains(&small.as_str()) && (capital || core.len() > 1) {
        number
    } else if RULERS.contains(&small.as_str()) && capital && (core != "I" || ends_name(words, at)) {
        format!("the {}", ordinal(&number))
    } else if capital && core.contains("II") {
        number
    } else {
        return None;
    };
    Some(Reading::of(text, 1))
}

/// Whether `I` after a name is its number, not the speaker.
fn ends_name(words: &Words<'_>, at: usize) -> bool {
    const AFTER: &[&str] = &["of", "was", "is", "had", "and", "who", "died", "became", "ruled", "reigned", "in"];
    !words.tail(at).is_empty() || !words.has(at + 1) || AFTER.contains(&words.core(at + 1))
}

/// The value of a well-formed numeral below 400.
fn value(text: &str) -> Option<u32> {
    const LONGEST: usize = 12;
    const SIGNS: [(&str, u32); 9] =
        [("C", 100), ("XC", 90), ("L", 50), ("XL", 40), ("X", 10), ("IX", 9), ("V", 5), ("IV", 4), ("I", 1)];
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| b"IVXLC".contains(&byte)) {
        return None;
    }
    let (mut rest, mut value) = (text, 0);
    for (sign, worth) in SIGNS {
        while let Some(after) = rest.strip_prefix(sign) {
            (rest, value) = (after, value + worth);
        }
    }
    (rest.is_empty() && written(value) == text).then_some(value)
}

/// The one right way of writing `value`.
fn written(value: u32) -> String {
    const HUNDREDS: [&str; 4] = ["", "C", "CC", "CCC"];
    const TENS: [&str; 10] = ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"];
    const ONES: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    let hundreds = HUNDREDS.get(value as usize / 100).copied().unwrap_or_default();
    format!("{hundreds}{}{}", TENS[value as usize / 10 % 10], ONES[value as usize % 10])
}
