//! Numbers as words, as PyTorch's Zonos has them: by rules of English, whatever the language.
//!
//! The rules are those of the reference's `normalize_numbers`, one after another, and the words those of Python's `inflect`.

/// Of a thousand each.
const THOUSANDS: [&str; 12] = [
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
const UNITS: [&str; 10] = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEENS: [&str; 10] =
    ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// Ends of words, and what they become in an ordinal.
const ORDINALS: [(&str, &str); 8] = [
    ("ty", "tieth"),
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("five", "fifth"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("twelve", "twelfth"),
];

/// The text, its digits as words.
pub fn normalize(text: &str) -> String {
    let text = replaced(text, |rest| {
        let number = run(rest, ",")?;
        (number.len() > 2 && starts_with_digit(number)).then(|| (number.len(), number.replace(',', "")))
    });
    let text = replaced(&text, |rest| {
        let amount = run(rest.strip_prefix('£')?, ",")?;
        Some(('£'.len_utf8() + amount.len(), format!("{amount} pounds")))
    });
    let text = replaced(&text, |rest| {
        let amount = run(rest.strip_prefix('$')?, ".,")?;
        Some((1 + amount.len(), dollars(amount)))
    });
    let text = replaced(&text, |rest| {
        let (whole, after) = rest.split_at(digits(rest));
        let part = digits(after.strip_prefix('.')?);
        let end = whole.len() + 1 + part;
        (!whole.is_empty() && part > 0).then(|| (end, format!("{whole} point {}", &rest[whole.len() + 1..end])))
    });
    let text = replaced(&text, |rest| {
        let number = &rest[..digits(rest)];
        let suffix = ["st", "nd", "rd", "th"].into_iter().find(|suffix| rest[number.len()..].starts_with(suffix));
        suffix.filter(|_| !number.is_empty()).map(|suffix| (number.len() + suffix.len(), ordinal(number)))
    });
    replaced(&text, |rest| {
        let number = &rest[..digits(rest)];
        (!number.is_empty()).then(|| (number.len(), spoken(number)))
    })
}

/// What `find` sees at the beginning of what is left becomes something else: so many bytes of it, and what.
fn replaced(text: &str, find: impl Fn(&str) -> Option<(usize, String)>) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(c) = rest.chars().next() {
        match find(rest) {
            Some((length, other)) => {
                out.push_str(&other);
                rest = &rest[length..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// How many digits it begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn starts_with_digit(text: &str) -> bool {
    digits(text) > 0
}

/// As much of the beginning as is digits and some of these, up to the last digit.
fn run<'a>(text: &'a str, others: &str) -> Option<&'a str> {
    let length = text.chars().take_while(|c| c.is_ascii_digit() || others.contains(*c)).count();
    let end = text[..length].rfind(|c: char| c.is_ascii_digit())? + 1;
    Some(&text[..end])
}

fn dollars(amount: &str) -> String {
    let parts: Vec<&str> = amount.split('.').collect();
    if parts.len() > 2 {
        return format!("{amount} dollars");
    }
    let part = |at: usize| parts.get(at).map(|part| significant(part)).unwrap_or_default();
    let of = |count: &str, one: &str| format!("{count} {one}{}", if count == "1" { "" } else { "s" });
    match (part(0).as_str(), part(1).as_str()) {
        ("", "") => "zero dollars".to_owned(),
        ("", cents) => of(cents, "cent"),
        (whole, "") => of(whole, "dollar"),
        (whole, cents) => format!("{}, {}", of(whole, "dollar"), of(cents, "cent")),
    }
}

/// The digits from the first on that is not 0.
fn significant(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).skip_while(|digit| *digit == '0').collect()
}

fn spoken(number: &str) -> String {
    let number = significant(number);
    match number.parse::<u16>() {
        Ok(2000) => "two thousand".to_owned(),
        Ok(year @ 2001..2010) => format!("two thousand {}", UNITS[usize::from(year % 100)]),
        Ok(year @ (1001..2000 | 2010..3000)) => {
            let (first, second) = (usize::from(year / 100), usize::from(year % 100));
            match second {
                0 => format!("{} hundred", two_digits(first)),
                1..10 => format!("{} oh {}", two_digits(first), UNITS[second]),
                _ => format!("{} {}", two_digits(first), two_digits(second)),
            }
        }
        _ => cardinal(&number, ""),
    }
}

fn ordinal(number: &str) -> String {
    let words = cardinal(&significant(number), "and ");
    match ORDINALS.iter().find(|(end, _)| words.ends_with(end)) {
        Some((end, ordinal)) => format!("{}{ordinal}", &words[..words.len() - end.len()]),
        None => words + "th",
    }
}

/// Of digits, the first of which is not 0. `and`: what stands before tens and units, with its blank.
fn cardinal(number: &str, and: &str) -> String {
    if number.is_empty() {
        return "zero".to_owned();
    }
    let groups: Vec<&[u8]> = number.as_bytes().rchunks(3).collect();
    if groups.len() > THOUSANDS.len() {
        // For what has no name in it the reference fails.
        let digits = number.bytes().map(|digit| if digit == b'0' { "zero" } else { UNITS[usize::from(digit - b'0')] });
        return digits.collect::<Vec<_>>().join(" ");
    }
    let value = |group: &[u8]| group.iter().fold(0, |value, digit| 10 * value + usize::from(digit - b'0'));
    let parts = groups.iter().zip(THOUSANDS).rev().filter(|(group, _)| value(group) > 0);
    let parts: Vec<String> = parts.map(|(group, thousand)| three_digits(value(group), and) + thousand).collect();
    let small = value(groups[0]);
    match parts.split_last() {
        // A last part of one word is joined without a comma.
        Some((last, before)) if !before.is_empty() && (1..100).contains(&small) => {
            format!("{} {and}{last}", before.join(", "))
        }
        _ => parts.join(", "),
    }
}

fn three_digits(value: usize, and: &str) -> String {
    match (value / 100, value % 100) {
        (0, rest) => two_digits(rest),
        (hundreds, 0) => format!("{} hundred", UNITS[hundreds]),
        (hundreds, rest) => format!("{} hundred {and}{}", UNITS[hundreds], two_digits(rest)),
    }
}

fn two_digits(value: usize) -> String {
    match (value / 10, value % 10) {
        (1, unit) => TEENS[unit].to_owned(),
        (ten, 0) => TENS[ten].to_owned(),
        (0, unit) => UNITS[unit].to_owned(),
        (ten, unit) => format!("{}-{}", TENS[ten], UNITS[unit]),
    }
}
