//! Abbreviations. Those in capitals that are no words (NASA, HTML) are left to the lexicon and the voice.

use super::{
    number::Number,
    words::{Reading, Words},
};

/// Before a name; the full stop never ends a sentence.
const TITLES: &[(&str, &str)] = &[
    ("Mr", "Mister"),
    ("Mrs", "Missus"),
    ("Ms", "Miz"),
    ("Dr", "Doctor"),
    ("Prof", "Professor"),
    ("Rev", "Reverend"),
    ("Hon", "Honorable"),
    ("Gen", "General"),
    ("Sen", "Senator"),
    ("Rep", "Representative"),
    ("Gov", "Governor"),
    ("Pres", "President"),
    ("Capt", "Captain"),
    ("Cmdr", "Commander"),
    ("Col", "Colonel"),
    ("Lt", "Lieutenant"),
    ("Maj", "Major"),
    ("Sgt", "Sergeant"),
    ("St", "Saint"),
    ("Mt", "Mount"),
    ("Ft", "Fort"),
    ("Messrs", "Messieurs"),
];

/// After a name of a street.
const STREETS: &[(&str, &str)] = &[
    ("St", "Street"),
    ("Dr", "Drive"),
    ("Ave", "Avenue"),
    ("Blvd", "Boulevard"),
    ("Rd", "Road"),
    ("Ln", "Lane"),
    ("Ct", "Court"),
    ("Pl", "Place"),
    ("Sq", "Square"),
    ("Hwy", "Highway"),
    ("Pkwy", "Parkway"),
    ("Apt", "Apartment"),
];

/// With a full stop, anywhere.
const DOTTED: &[(&str, &str)] = &[
    ("etc", "et cetera"),
    ("vs", "versus"),
    ("approx", "approximately"),
    ("dept", "department"),
    ("Dept", "Department"),
    ("est", "established"),
    ("Inc", "Incorporated"),
    ("Ltd", "Limited"),
    ("Co", "Company"),
    ("Corp", "Corporation"),
    ("Jr", "Junior"),
    ("Sr", "Senior"),
    ("Univ", "University"),
    ("esp", "especially"),
    ("incl", "including"),
    ("misc", "miscellaneous"),
    ("cf", "compare"),
    ("viz", "namely"),
    ("ca", "circa"),
    ("Assn", "Association"),
    ("Bros", "Brothers"),
    ("max", "maximum"),
    ("min", "minimum"),
    ("temp", "temperature"),
    ("tel", "telephone"),
    ("Tel", "Telephone"),
    ("govt", "government"),
    ("Govt", "Government"),
    ("ext", "extension"),
    ("Ext", "Extension"),
];

/// With or without a full stop, before a number.
const NUMBERED: &[(&str, &str)] = &[
    ("No", "number"),
    ("Nos", "numbers"),
    ("no", "number"),
    ("nos", "numbers"),
    ("vol", "volume"),
    ("Vol", "Volume"),
    ("fig", "figure"),
    ("Fig", "Figure"),
    ("figs", "figures"),
    ("Figs", "Figures"),
    ("ch", "chapter"),
    ("Ch", "Chapter"),
    ("sec", "section"),
    ("Sec", "Section"),
    ("eq", "equation"),
    ("Eq", "Equation"),
    ("p", "page"),
    ("pp", "pages"),
    ("pg", "page"),
    ("pt", "part"),
    ("Pt", "Part"),
    ("art", "article"),
    ("Art", "Article"),
    ("rev", "revision"),
];

/// Whole tokens.
const WHOLE: &[(&str, &str)] = &[
    ("e.g", "for example"),
    ("E.g", "For example"),
    ("i.e", "that is"),
    ("I.e", "That is"),
    ("eg", "for example"),
    ("ie", "that is"),
    ("a.k.a", "also known as"),
    ("w/", "with"),
    ("w/o", "without"),
    ("b/c", "because"),
    ("and/or", "and or"),
    ("n/a", "N A"),
    ("N/A", "N A"),
    ("a.m", "A M"),
    ("p.m", "P M"),
    ("vs", "versus"),
    ("C#", "C sharp"),
    ("F#", "F sharp"),
    ("C++", "C plus plus"),
    (".NET", "dot net"),
    ("km/h", "kilometers per hour"),
    ("c/o", "care of"),
    ("Q&A", "Q and A"),
    ("R&B", "R and B"),
    ("AT&T", "A T and T"),
];

fn find(table: &[(&str, &'static str)], core: &str) -> Option<&'static str> {
    table.iter().find(|(short, _)| *short == core).map(|(_, long)| *long)
}

/// Whether a word of small letters without a full stop may be an abbreviation.
pub(super) fn is_bare(core: &str) -> bool {
    core.len() <= 4 && (find(WHOLE, core).is_some() || find(NUMBERED, core).is_some())
}

pub(super) fn read(words: &Words<'_>, at: usize) -> Option<Reading> {
    const LONGEST: usize = 24;
    let core = words.core(at);
    if core.len() > LONGEST {
        return None;
    }
    let dot = words.tail(at).starts_with('.');
    let reading = |text: &str, swallowed| Some(Reading { text: text.to_owned(), tokens: 1, swallowed });
    let mute = usize::from(words.dot_is_mute(at));
    if let Some(whole) = find(WHOLE, core) {
        let always = matches!(core, "e.g" | "E.g" | "i.e" | "I.e" | "vs") && dot && words.has(at + 1);
        return reading(whole, if always { 1 } else { mute });
    }
    if let Some(numbered) = find(NUMBERED, core).filter(|_| before_number(words, at, dot)) {
        return reading(numbered, usize::from(dot));
    }
    titled(words, at, dot).or_else(|| {
        let dotted = find(DOTTED, core).filter(|_| dot);
        match dotted {
            Some(dotted) if matches!(core, "Co" | "Corp" | "Inc") => {
                reading(dotted, usize::from(words.dot_is_mute_before_name(at)))
            }
            Some(dotted) => reading(dotted, mute),
            None => initials(words, at),
        }
    })
}

fn before_number(words: &Words<'_>, at: usize, dot: bool) -> bool {
    let short = matches!(words.core(at), "no" | "No" | "p" | "rev" | "art" | "Art" | "sec" | "pt" | "ch");
    let next = words.core(at + 1);
    let number = next.starts_with(|c: char| c.is_ascii_digit()) && words.lead(at + 1).is_empty();
    let capital = words.core(at).starts_with(char::is_uppercase);
    let roman = matches!(next, "II" | "III" | "IV" | "VI" | "VII" | "VIII") || (capital && matches!(next, "I" | "V"));
    (dot && words.tail(at) == "." || (words.tail(at).is_empty() && !short)) && (number || roman)
}

/// A title before a name, or a street after one.
fn titled(words: &Words<'_>, at: usize, dot: bool) -> Option<Reading> {
    let core = words.core(at);
    let title = find(TITLES, core);
    let street = find(STREETS, core);
    if title.is_none() && street.is_none() || !matches!(words.tail(at), "" | "." | "," | ".,") {
        return None;
    }
    let name = words.core(at + 1).starts_with(char::is_uppercase) && words.lead(at + 1).is_empty();
    let after_name = at > 0 && words.tail(at - 1).is_empty() && is_name(words.core(at - 1));
    let swallowed = usize::from(dot);
    match (title, street) {
        (_, Some(street)) if after_name && !(dot && name && title.is_some() && !after_address(words, at)) => {
            Some(Reading { text: street.to_owned(), tokens: 1, swallowed: usize::from(words.dot_is_mute(at)) })
        }
        (Some(title), _) if name && matches!(words.tail(at), "" | ".") => {
            Some(Reading { text: title.to_owned(), tokens: 1, swallowed })
        }
        (Some(title), None) if dot => {
            Some(Reading { text: title.to_owned(), tokens: 1, swallowed: usize::from(words.dot_is_mute(at)) })
        }
        _ => None,
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
        || (word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with(char::is_lowercase))
}

/// Whether the name before `at` has the number of a house before it: `12 Main St`.
fn after_address(words: &Words<'_>, at: usize) -> bool {
    (2..=3).any(|back| at >= back && Number::parse(words.core(at - back)).is_some_and(|(_, rest)| rest.is_empty()))
}

/// `U.S.`, `J. K. Rowling`, `Ph.D.`: the letters, without full stops between.
fn initials(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    let dot = words.tail(at).starts_with('.');
    let parts: Vec<&str> = core.split('.').collect();
    let letters = |part: &&str| part.chars().all(char::is_alphabetic) && (1..=2).contains(&part.chars().count());
    if !parts.iter().all(letters) {
        return None;
    }
    if parts.len() == 1 {
        let single = core.chars().count() == 1 && core.starts_with(char::is_uppercase);
        let name = words.core(at + 1).starts_with(char::is_uppercase);
        let first = at == 0 || words.core(at - 1).starts_with(char::is_uppercase) || words.tail(at - 1).ends_with('.');
        let initial = single && words.tail(at) == "." && name && first;
        return initial.then(|| Reading { text: core.to_owned(), tokens: 1, swallowed: 1 });
    }
    let spelled =
        core.chars().filter(|c| *c != '.').map(|c| c.to_uppercase().to_string()).collect::<Vec<_>>().join(" ");
    let swallowed = usize::from(words.dot_is_mute_before_name(at));
    (core.starts_with(char::is_uppercase) || dot).then_some(Reading { text: spelled, tokens: 1, swallowed })
}
