//! Numbers as English words. Digits come as text, so that leading zeros and any length are kept.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [&str; 12] = [
    "",
    " thousand",
    " million",
    " billion",
    " trillion",
    " quadrillion",
    " quintillion",
    " sextillion",
    " septillion",
    " octillion",
    " nonillion",
    " decillion",
];

/// The longest number that is read as one; longer ones are read digit by digit.
const MAX_DIGITS: usize = 3 * SCALES.len();

/// The name of a digit.
pub(in crate::text) fn digit(c: char) -> Option<&'static str> {
    c.to_digit(10).map(|digit| ONES[digit as usize])
}

/// `007` as `zero zero seven`.
pub(in crate::text) fn digits(digits: &str) -> String {
    digits.chars().filter_map(digit).collect::<Vec<_>>().join(" ")
}

/// `1234` as `one thousand two hundred thirty-four`.
pub(in crate::text) fn cardinal(number: &str) -> String {
    let significant = number.trim_start_matches('0');
    if significant.is_empty() {
        return ONES[0].to_owned();
    }
    if significant.len() > MAX_DIGITS {
        return digits(number);
    }
    let mut words = Vec::new();
    let mut rest = significant;
    while !rest.is_empty() {
        let scale = (rest.len() - 1) / 3;
        let (group, tail) = rest.split_at(rest.len() - 3 * scale);
        if let Some(words_of_group) = group.parse().ok().filter(|&value| value > 0).map(hundreds) {
            words.push(format!("{words_of_group}{}", SCALES[scale]));
        }
        rest = tail;
    }
    words.join(" ")
}

fn hundreds(number: usize) -> String {
    match (number / 100, number % 100) {
        (0, rest) => tens(rest),
        (hundreds, 0) => format!("{} hundred", ONES[hundreds]),
        (hundreds, rest) => format!("{} hundred {}", ONES[hundreds], tens(rest)),
    }
}

fn tens(number: usize) -> String {
    match (number / 10, number % 10) {
        (0 | 1, _) => ONES[number].to_owned(),
        (tens, 0) => TENS[tens].to_owned(),
        (tens, ones) => format!("{}-{}", TENS[tens], ONES[ones]),
    }
}

/// `twenty-one` as `twenty-first`.
pub(in crate::text) fn ordinal(cardinal: &str) -> String {
    let at = cardinal.rfind([' ', '-']).map_or(0, |at| at + 1);
    let (front, last) = cardinal.split_at(at);
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        last => last.strip_suffix('y').map_or_else(|| format!("{last}th"), |stem| format!("{stem}ieth")),
    };
    format!("{front}{last}")
}

/// `nineteen ninety` as `nineteen nineties`.
pub(super) fn plural(words: &str) -> String {
    match words.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if words.ends_with('x') => format!("{words}es"),
        None => format!("{words}s"),
    }
}

/// A year of four digits: `1984` as `nineteen eighty-four`, `2005` as `two thousand five`.
pub(super) fn year(digits: &str) -> String {
    let Ok(year @ 1000..=9999) = digits.parse::<usize>() else { return cardinal(digits) };
    match (year / 100, year % 100) {
        _ if year % 1000 < 10 => cardinal(digits),
        (century, 0) => format!("{} hundred", tens(century)),
        (century, rest @ 1..=9) => format!("{} oh {}", tens(century), ONES[rest]),
        (century, rest) => format!("{} {}", tens(century), tens(rest)),
    }
}

/// A number as people write it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number<'a> {
    /// What is said before it, a space at its end: `minus `.
    pub sign: String,
    /// The digits before the point, without commas; empty in `.5`.
    pub whole: String,
    /// Whether commas parted the thousands.
    pub grouped: bool,
    /// The digits after the point.
    pub fraction: Option<&'a str>,
}

impl<'a> Number<'a> {
    /// A number at the beginning of `text`, and what follows it.
    pub fn parse(text: &'a str) -> Option<(Self, &'a str)> {
        let (sign, text) = sign(text);
        let (whole, grouped, rest) = whole(text);
        let (fraction, rest) = match rest.strip_prefix('.').map(split_digits) {
            Some((fraction, rest)) if !fraction.is_empty() => (Some(fraction), rest),
            _ => (None, rest),
        };
        (!whole.is_empty() || fraction.is_some()).then_some((Self { sign, whole, grouped, fraction }, rest))
    }

    pub fn is_one(&self) -> bool {
        self.whole == "1" && self.fraction.is_none()
    }

    /// Whether it is only digits.
    pub fn is_plain(&self) -> bool {
        self.sign.is_empty() && !self.grouped && self.fraction.is_none()
    }

    /// Whether it looks like a year that is read in pairs.
    pub fn is_year(&self) -> bool {
        self.is_plain()
            && self.whole.len() == 4
            && matches!(self.whole.as_bytes(), [b'1', b'1'..=b'9', ..] | [b'2', b'0', ..])
    }

    /// As a quantity: 1984 is a number.
    pub fn quantity(&self) -> String {
        let whole = match self.whole.as_str() {
            "" => String::new(),
            whole if self.is_code() => digits(whole),
            whole => cardinal(whole),
        };
        match self.fraction {
            None => format!("{}{whole}", self.sign),
            Some(fraction) if whole.is_empty() => format!("{}point {}", self.sign, digits(fraction)),
            Some(fraction) => format!("{}{whole} point {}", self.sign, digits(fraction)),
        }
    }

    /// By itself: 1984 is a year.
    pub fn speak(&self) -> String {
        if self.is_year() { year(&self.whole) } else { self.quantity() }
    }

    /// A number that counts nothing: with a zero in front, or long without commas and not round.
    fn is_code(&self) -> bool {
        const LONG: usize = 10;
        let long = self.whole.len() >= LONG && !self.grouped && !self.whole.ends_with("000000");
        self.fraction.is_none() && (long || (self.whole.len() > 1 && self.whole.starts_with('0')))
    }
}

fn sign(text: &str) -> (String, &str) {
    const RELATIONS: &[(&str, &str)] = &[
        ("<=", "at most "),
        (">=", "at least "),
        ("≤", "at most "),
        ("≥", "at least "),
        ("<", "less than "),
        (">", "more than "),
        ("~", "about "),
        ("≈", "about "),
    ];
    const SIGNS: &[(&str, &str)] =
        &[("+/-", "plus or minus "), ("-", "minus "), ("–", "minus "), ("+", "plus "), ("±", "plus or minus ")];
    let strip = |text: &str, table: &[(&'static str, &'static str)]| {
        let found = table.iter().find(|(sign, _)| text.starts_with(sign));
        found.map_or(("", 0), |(sign, words)| (*words, sign.len()))
    };
    let (relation, skipped) = strip(text, RELATIONS);
    let (sign, more) = strip(&text[skipped..], SIGNS);
    (format!("{relation}{sign}"), &text[skipped + more..])
}

pub(super) fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Digits with or without commas between groups of three.
pub(super) fn whole(text: &str) -> (String, bool, &str) {
    let (first, mut rest) = split_digits(text);
    let mut whole = first.to_owned();
    let mut grouped = false;
    while (1..=3).contains(&first.len()) {
        let Some((group, after)) = rest.strip_prefix(',').map(split_digits) else { break };
        if group.len() != 3 {
            break;
        }
        whole.push_str(group);
        grouped = true;
        rest = after;
    }
    (whole, grouped, rest)
}

/// One or several numbers that count the same thing: `5`, `1/2`, `5-10`, `3x4`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    pub words: String,
    /// Whether what it counts is singular.
    pub one: bool,
    /// Whether it is not a number alone.
    pub compound: bool,
}

impl Quantity {
    /// A quantity at the beginning of `text`, and what follows it.
    pub fn parse(text: &str) -> Option<(Self, &str)> {
        let (first, rest) = Number::parse(text)?;
        if let Some((words, rest)) = fraction(&first, rest) {
            return Some((Self { words, one: true, compound: true }, rest));
        }
        let single = |words| Self { words, one: first.is_one(), compound: false };
        let mut list = vec![first.clone()];
        let mut between = "";
        let mut rest = rest;
        while let Some((word, number, after)) = link(rest).filter(|(word, ..)| between.is_empty() || between == *word) {
            if word == " to " && list.len() == 2 {
                return None; // 555-123-4567 is no range
            }
            between = word;
            list.push(number);
            rest = after;
        }
        if list.len() == 1 {
            return Some((single(first.quantity()), rest));
        }
        Some((Self { words: joined(&list, between), one: false, compound: true }, rest))
    }
}

/// Years on both sides of a range are years, and so is the short one in `1990-95`.
fn joined(list: &[Number<'_>], between: &str) -> String {
    let years = between == " to " && list[0].is_year() && list[1].is_plain() && matches!(list[1].whole.len(), 2 | 4);
    let words = list.iter().map(|number| if years { number.speak() } else { number.quantity() });
    words.collect::<Vec<_>>().join(between)
}

/// `-10` is ` to ` ten, `x4` is ` by ` four.
fn link(text: &str) -> Option<(&'static str, Number<'_>, &str)> {
    const LINKS: &[(&str, &str)] = &[("-", " to "), ("–", " to "), ("x", " by "), ("×", " by ")];
    let (mark, word) = LINKS.iter().find(|(mark, _)| text.starts_with(mark))?;
    let after = &text[mark.len()..];
    let starts = after.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let (number, rest) = Number::parse(after).filter(|_| starts)?;
    Some((word, number, rest))
}

/// `1/2` after its numerator; not of `1/2/2024`, nor of `24/7`.
fn fraction<'a>(numerator: &Number<'_>, rest: &'a str) -> Option<(String, &'a str)> {
    let (denominator, after) = split_digits(rest.strip_prefix('/')?);
    let plain = !numerator.grouped && numerator.fraction.is_none() && numerator.whole.len() <= 4;
    if !plain || denominator.is_empty() || denominator.len() > 4 || after.starts_with('/') {
        return None;
    }
    let over = || format!("{} over {}", numerator.quantity(), cardinal(denominator));
    let words = match (numerator.whole.as_str(), denominator) {
        (_, denominator) if denominator.starts_with('0') => over(),
        (whole, part) if whole == part => format!("{} out of {}", cardinal(whole), cardinal(part)),
        ("1", "2") => "one half".to_owned(),
        ("1", "4") => "one quarter".to_owned(),
        (_, "4") => format!("{} quarters", cardinal(&numerator.whole)),
        (_, "2") => format!("{} halves", cardinal(&numerator.whole)),
        ("1", part) if is_part(part) => format!("one {}", ordinal(&cardinal(part))),
        (_, part) if is_part(part) => format!("{} {}", cardinal(&numerator.whole), plural(&ordinal(&cardinal(part)))),
        _ => return Some((over(), after)),
    };
    let sign = if words.contains(" over ") { "" } else { &numerator.sign };
    Some((format!("{sign}{words}"), after))
}

/// Denominators with names that people use.
fn is_part(denominator: &str) -> bool {
    matches!(denominator.parse(), Ok(3..=12 | 15 | 16 | 20 | 32 | 50 | 64 | 100 | 1000))
}
