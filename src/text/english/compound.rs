//! What no rule knows, by its parts: letters stay, digits become numbers, signs become their names.

use icu_properties::props::GeneralCategory;

use super::number::{cardinal, digits, ordinal, plural, whole};
use crate::text::properties::{category, is_mark};

/// `GPT-4` is `GPT-four`, `a&b` is `a and b`, `foo_bar` is `foo bar`.
pub(super) fn read(core: &str) -> String {
    parts(core, usual)
}

/// Every sign by its name, as one spells an address.
pub(super) fn spell(text: &str) -> String {
    parts(text, spelled)
}

/// What a sign is read as, by the characters around it.
type Name = fn(c: char, before: Option<char>, after: Option<char>) -> Sign;

enum Sign {
    /// A word by itself.
    Word(&'static str),
    /// As it stands, touching what it touches.
    Keep,
    /// As it stands, and a space after it.
    Stop,
    Space,
}

fn parts(text: &str, name: Name) -> String {
    let mut out = Out(String::with_capacity(text.len()));
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let mut part = part(rest, before);
        let after = rest[part.len()..].chars().next();
        match c {
            c if c.is_ascii_digit() => {
                let suffix = suffix(&rest[part.len()..]);
                out.number(part, suffix, before);
                part = &rest[..part.len() + suffix.len()];
            }
            c if is_word(c) => match greek(c).filter(|_| part.len() == c.len_utf8()) {
                Some(letter) => out.word(letter),
                None => out.letters(part),
            },
            c => match name(c, before, after) {
                Sign::Word(word) => out.word(word),
                Sign::Keep => out.0.push(c),
                Sign::Stop => {
                    out.0.push(c);
                    out.space();
                }
                Sign::Space => out.space(),
            },
        }
        before = part.chars().next_back();
        rest = &rest[part.len()..];
    }
    out.0.trim_end_matches(' ').to_owned()
}

/// The first part of `text`: letters, a number, or one sign.
fn part(text: &str, before: Option<char>) -> &str {
    let mut chars = text.char_indices();
    let first = chars.next().map_or(' ', |(_, c)| c);
    let end = match first {
        c if c.is_ascii_digit() => number_end(text, before),
        c if is_word(c) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
        c => c.len_utf8(),
    };
    &text[..end]
}

/// What makes an ordinal or a plural of the number before `text`: `th`, `s`.
fn suffix(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    Some(&text[..end]).filter(|word| matches!(*word, "st" | "nd" | "rd" | "th" | "s")).unwrap_or_default()
}

/// The end of digits with commas and points between, such as `1,000.5` and `1.2.3`.
fn number_end(text: &str, before: Option<char>) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let inside = |at: usize| bytes.get(at) == Some(&b'.') && digit(at + 1) && before != Some('.');
    let (_, grouped, after) = whole(text);
    let mut end = if grouped { text.len() - after.len() } else { 0 };
    while digit(end) || inside(end) {
        end += 1;
    }
    end
}

fn is_word(c: char) -> bool {
    c.is_alphabetic() || is_mark(c) || c == '\''
}

struct Out(String);

impl Out {
    fn space(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with(' ') {
            self.0.push(' ');
        }
    }

    fn word(&mut self, word: &str) {
        self.space();
        self.0.push_str(word);
        self.0.push(' ');
    }

    fn letters(&mut self, letters: &str) {
        if !letters.is_empty() && self.0.ends_with(|c: char| c.is_alphanumeric()) {
            self.space(); // after a number
        }
        self.0.push_str(letters);
    }

    fn number(&mut self, number: &str, suffix: &str, before: Option<char>) {
        if before.is_some_and(|c| c.is_alphabetic()) {
            self.space();
        }
        let number = number.replace(',', "");
        if !suffix.is_empty() && !number.contains('.') {
            let cardinal = cardinal(&number);
            self.0.push_str(&if suffix == "s" { plural(&cardinal) } else { ordinal(&cardinal) });
            return;
        }
        let mut parts = number.split('.');
        let whole = parts.next().unwrap_or_default();
        let coded = whole.len() > 1 && whole.starts_with('0');
        self.0.push_str(&if coded { digits(whole) } else { cardinal(whole) });
        let versions = number.matches('.').count() > 1;
        for part in parts {
            self.0.push_str(" point ");
            self.0.push_str(&if versions { cardinal(part) } else { digits(part) });
        }
        self.letters(suffix);
    }
}

fn usual(c: char, before: Option<char>, after: Option<char>) -> Sign {
    let between = |kind: fn(char) -> bool| before.is_some_and(kind) && after.is_some_and(kind);
    let digits = between(|c| c.is_ascii_digit());
    match c {
        '-' | '–' if before.is_none() && after.is_none() => Sign::Word("—"),
        '-' if before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric) => Sign::Keep,
        '-' if !before.is_some_and(char::is_alphanumeric) && after.is_some_and(|c| c.is_ascii_digit()) => {
            Sign::Word("minus")
        }
        '-' | '–' | '_' | '|' => Sign::Space,
        '.' if between(char::is_alphanumeric) && !after.is_some_and(char::is_uppercase) => Sign::Word("dot"),
        '.' if before.is_none() && after.is_some_and(char::is_alphanumeric) => Sign::Word("dot"),
        ',' | ';' if digits => Sign::Stop,
        '*' | '×' if digits => Sign::Word("times"),
        '*' | '`' => Sign::Space,
        '^' if after == Some('2') => Sign::Word("to the power of"),
        '#' if after.is_some_and(char::is_alphabetic) => Sign::Word("hashtag"),
        c => match name(c) {
            Some(word) => Sign::Word(word),
            None if is_symbol(c) => Sign::Space,
            None => Sign::Keep,
        },
    }
}

fn spelled(c: char, _: Option<char>, _: Option<char>) -> Sign {
    let word = match c {
        '.' => "dot",
        '-' => "dash",
        '_' => "underscore",
        ':' => "colon",
        ',' => "comma",
        '*' => "star",
        c => match name(c) {
            Some(word) => word,
            None => return Sign::Space,
        },
    };
    Sign::Word(word)
}

fn name(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "and",
        '@' => "at",
        '#' => "number",
        '%' => "percent",
        '‰' => "per mille",
        '+' => "plus",
        '−' => "minus",
        '±' => "plus or minus",
        '×' => "times",
        '÷' => "divided by",
        '=' => "equals",
        '≠' => "is not equal to",
        '≈' => "is about",
        '~' => "about",
        '<' => "less than",
        '>' => "greater than",
        '≤' => "at most",
        '≥' => "at least",
        '∞' => "infinity",
        '√' => "the square root of",
        '^' => "to the power of",
        '°' => "degrees",
        '§' => "section",
        '¶' => "paragraph",
        '$' => "dollars",
        '£' => "pounds",
        '€' => "euros",
        '¥' => "yen",
        '₹' => "rupees",
        '¢' => "cents",
        '/' => "slash",
        '\\' => "backslash",
        '→' | '⇒' => "to",
        '²' => "squared",
        '³' => "cubed",
        _ => return None,
    })
}

/// Greek letters that English texts use as signs, when they stand alone.
fn greek(c: char) -> Option<&'static str> {
    Some(match c {
        'α' => "alpha",
        'β' => "beta",
        'γ' => "gamma",
        'δ' | 'Δ' => "delta",
        'ε' => "epsilon",
        'θ' => "theta",
        'λ' => "lambda",
        'μ' | 'µ' => "mu",
        'π' => "pi",
        'σ' | 'Σ' => "sigma",
        'φ' => "phi",
        'ω' => "omega",
        'Ω' => "ohm",
        _ => return None,
    })
}

fn is_symbol(c: char) -> bool {
    use GeneralCategory as C;
    matches!(category(c), C::MathSymbol | C::OtherSymbol | C::ModifierSymbol | C::CurrencySymbol)
        || matches!(c, '⁰' | '¹' | '⁴'..='⁹')
}
