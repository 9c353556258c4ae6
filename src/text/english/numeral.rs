//! Numbers by themselves, and what is made of digits without being a quantity.

use super::{
    number::{Number, Quantity, cardinal, digits, ordinal, plural, split_digits, year},
    words::{Reading, Words},
};

/// `555-123-4567`, `(555) 123-4567`, `+44 20 7946 0958`, `4111-1111-1111-1111`: digit by digit, group by group.
pub(super) fn phone(words: &Words<'_>, at: usize) -> Option<Reading> {
    let (groups, tokens) = spaced_groups(words, at).or_else(|| Some((groups(words.core(at))?, 1)))?;
    let total: usize = groups.iter().map(|group| group.len()).sum();
    let shape: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let international = words.core(at).starts_with('+') && total >= 8;
    let usual = matches!(shape.as_slice(), [3, 4] | [3, 3, 4] | [1, 3, 3, 4] | [3, 2, 4] | [4, 4, 4, 4]);
    let long =
        tokens == 1 && groups.len() >= 3 && total >= 7 && (groups.len() > 3 || shape.iter().all(|length| *length >= 2));
    if total > 24 || !(international || usual || long) {
        return None;
    }
    let plus = if words.core(at).starts_with('+') { "plus " } else { "" };
    let mut spoken: Vec<String> = groups.into_iter().map(digits).collect();
    if tokens > 1 {
        spoken[0].push_str(words.tail(at)); // the bracket after the area
    }
    Some(Reading::of(format!("{plus}{}", spoken.join(", ")), tokens))
}

/// Groups in one token, parted by hyphens or full stops.
fn groups(core: &str) -> Option<Vec<&str>> {
    const LONGEST: usize = 40;
    let bare = core.strip_prefix('+').unwrap_or(core);
    let mark = bare.chars().find(|c| !c.is_ascii_digit()).unwrap_or('-');
    if core.len() > LONGEST || !matches!(mark, '-' | '.') || (mark == '.' && bare.matches('.').count() != 2) {
        return None;
    }
    let groups: Vec<&str> = bare.split(mark).collect();
    let digits = groups.iter().all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    digits.then_some(groups)
}

/// Groups in several tokens: `(555) 123-4567`, `+44 20 7946 0958`, `555 123 4567`.
fn spaced_groups<'a>(words: &Words<'a>, at: usize) -> Option<(Vec<&'a str>, usize)> {
    const MOST: usize = 8; // tokens
    let area = words.lead(at).ends_with('(') && words.tail(at) == ")";
    let first = words.core(at);
    if !first.starts_with(|c: char| c == '+' || c.is_ascii_digit()) || !(area || words.follows(at)) {
        return None;
    }
    let mut all = groups(first)?;
    let mut used = 1;
    while used < MOST && (words.follows(at + used - 1) || (area && used == 1 && words.has(at + 1))) {
        let Some(more) = groups(words.core(at + used)).filter(|_| !words.core(at + used).starts_with('+')) else {
            break;
        };
        all.extend(more);
        used += 1;
    }
    (used > 1).then_some((all, used))
}

/// What looks like a number and has a reading of its own.
pub(super) fn special(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    let first = core.bytes().next()?;
    if !first.is_ascii_digit() && first != b'#' {
        return None;
    }
    let text = match core {
        "24/7" => "twenty-four seven".to_owned(),
        "50/50" => "fifty-fifty".to_owned(),
        "911" => "nine one one".to_owned(),
        "9/11" => "nine eleven".to_owned(),
        _ => suffixed(core).or_else(|| dotted(core)).or_else(|| scientific(core)).or_else(|| hash(core))?,
    };
    Some(Reading::of(text, 1))
}

/// `21st`, `1990s`, `80's`.
fn suffixed(core: &str) -> Option<String> {
    let at = core.bytes().position(|byte| byte.is_ascii_alphabetic() || byte == b'\'')?;
    let (number, suffix) = core.split_at(at);
    let (parsed, rest) = Number::parse(number)?;
    if !rest.is_empty() || parsed.fraction.is_some() || !parsed.sign.is_empty() {
        return None;
    }
    match suffix {
        "st" | "nd" | "rd" | "th" | "ST" | "ND" | "RD" | "TH" => Some(ordinal(&cardinal(&parsed.whole))),
        "s" | "'s" if number.ends_with('0') && number.len() == 2 => Some(plural(&cardinal(number))),
        "s" | "'s" if parsed.whole.len() == 4 => Some(plural(&year(number))),
        _ => None,
    }
}

/// `1.2.3` of versions, `192.168.0.1` of addresses.
fn dotted(core: &str) -> Option<String> {
    let parts: Vec<&str> = core.split('.').collect();
    let digits = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let between = if parts.len() == 4 { " dot " } else { " point " };
    let words = || parts.iter().map(|part| cardinal(part)).collect::<Vec<_>>().join(between);
    (digits && parts.len() > 2).then(words)
}

/// `1.5e-3`.
fn scientific(core: &str) -> Option<String> {
    let (mantissa, exponent) = core.split_once(['e', 'E'])?;
    let (number, rest) = Number::parse(mantissa).filter(|(_, rest)| rest.is_empty())?;
    let (power, after) =
        Number::parse(exponent).filter(|(power, after)| after.is_empty() && power.fraction.is_none())?;
    let sign = power.sign.replace("plus ", "");
    let words = format!("{} times ten to the power of {sign}{}", number.quantity(), cardinal(&power.whole));
    (rest.is_empty() && after.is_empty() && (sign.is_empty() || sign == "minus ")).then_some(words)
}

/// `#5`.
fn hash(core: &str) -> Option<String> {
    let (number, rest) = Number::parse(core.strip_prefix('#')?)?;
    (rest.is_empty() && number.sign.is_empty()).then(|| format!("number {}", number.quantity()))
}

/// A number and nothing else; a fraction after a whole one belongs to it: `1 1/2`.
pub(super) fn read(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    let (quantity, rest) = Quantity::parse(core)?;
    let (number, alone) = Number::parse(core)?;
    match rest {
        "" => {}
        "+" => return Some(Reading::of(format!("{} plus", quantity.words), 1)),
        _ => return None,
    }
    if !alone.is_empty() {
        return Some(Reading::of(quantity.words, 1));
    }
    if let Some(part) = fraction_after(words, at).filter(|_| number.is_plain()) {
        let unit = super::unit::named(part.1, false);
        let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        return Some(Reading::of(format!("{} and {}{unit}", number.quantity(), part.0), 2));
    }
    let dated = at > 0 && DATING.contains(&words.core(at - 1)) && number.is_plain() && number.whole.len() == 4;
    Some(Reading::of(if dated { year(&number.whole) } else { number.speak() }, 1))
}

/// After these, four digits are a year even if they do not look like one.
const DATING: &[&str] = &["in", "since", "until", "circa", "year", "years", "In", "Since"];

/// `1/2` in the next token, and a unit that touches it.
fn fraction_after<'a>(words: &Words<'a>, at: usize) -> Option<(String, &'a str)> {
    if !words.follows(at) {
        return None;
    }
    let next = words.core(at + 1);
    let (above, rest) = split_digits(next);
    let (below, _) = split_digits(rest.strip_prefix('/')?);
    let proper = above.parse::<u32>().ok()? < below.parse::<u32>().ok()?;
    let (quantity, unit) = Quantity::parse(next).filter(|_| proper)?;
    let known = unit.is_empty() || super::unit::named(unit, false).is_some();
    let words = if quantity.words == "one half" { "a half".to_owned() } else { quantity.words };
    known.then_some((words, unit))
}
