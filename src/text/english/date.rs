//! Dates and times of day.

use super::{
    number::{cardinal, ordinal, split_digits, year},
    words::{Reading, Words},
};

const MONTHS: [(&str, &str); 12] = [
    ("January", "Jan"),
    ("February", "Feb"),
    ("March", "Mar"),
    ("April", "Apr"),
    ("May", "May"),
    ("June", "Jun"),
    ("July", "Jul"),
    ("August", "Aug"),
    ("September", "Sep"),
    ("October", "Oct"),
    ("November", "Nov"),
    ("December", "Dec"),
];
const WEEKDAYS: [(&str, &str); 11] = [
    ("Monday", "Mon"),
    ("Tuesday", "Tue"),
    ("Tuesday", "Tues"),
    ("Wednesday", "Wed"),
    ("Thursday", "Thu"),
    ("Thursday", "Thur"),
    ("Thursday", "Thurs"),
    ("Friday", "Fri"),
    ("Saturday", "Sat"),
    ("Sunday", "Sun"),
    ("Wednesday", "Weds"),
];

/// A month by its name or the short form of it, and whether it is short.
fn month(word: &str) -> Option<(&'static str, bool)> {
    let found =
        MONTHS.iter().find(|(long, short)| word == *long || word == *short || (word == "Sept" && *short == "Sep"));
    found.map(|(long, _)| (*long, word != *long))
}

fn number(text: &str, most: u32) -> Option<u32> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && (1..=most).contains(number))
}

/// `5`, `5th`.
fn day(text: &str) -> Option<String> {
    let (digits, suffix) = split_digits(text);
    let fits = digits.len() <= 2 && matches!(suffix, "" | "st" | "nd" | "rd" | "th");
    number(digits, 31).filter(|_| fits).map(|day| ordinal(&cardinal(&day.to_string())))
}

/// `5`, `5-7`: one day or several.
fn days(text: &str) -> Option<String> {
    match text.split_once(['-', '–']) {
        Some((first, last)) => Some(format!("{} to {}", day(first)?, day(last)?)),
        None => day(text),
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && number(text, 2999).is_some_and(|year| year >= 1000)
}

/// `2024-03-05`, `3/5/2024`, `5.3.2024`.
pub(super) fn numeric(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    let mark = core.chars().find(|c| !c.is_ascii_digit()).filter(|c| matches!(c, '-' | '/' | '.'))?;
    if core.len() > 10 {
        return None;
    }
    let fields: Vec<&str> = core.split(mark).collect();
    let &[first, second, third] = fields.as_slice() else { return None };
    let (year, month, day) = match mark {
        _ if first.len() == 4 => (first, second, third),
        '.' => (third, second, first),
        _ if number(first, 12).is_none() || (words.british && number(second, 12).is_some()) => (third, second, first),
        _ => (third, first, second),
    };
    let (month, day) = (number(month, 12)?, number(day, 31)?);
    let year = match year.len() {
        4 if is_year(year) => self::year(year),
        2 if mark == '/' => cardinal(year),
        _ => return None,
    };
    let (month, day) = (MONTHS[month as usize - 1].0, ordinal(&cardinal(&day.to_string())));
    let text = if words.british { format!("the {day} of {month} {year}") } else { format!("{month} {day}, {year}") };
    Some(Reading::of(text, 1))
}

/// `March 5, 2024`, `Mar. 5-7`, `5 March 2024`, `Mar 2024`, `Mon, 5 March`.
pub(super) fn named(words: &Words<'_>, at: usize) -> Option<Reading> {
    let core = words.core(at);
    if let Some((month, short)) = month(core) {
        return month_first(words, at, month, short);
    }
    let weekday = WEEKDAYS.iter().find(|(_, short)| *short == core);
    if let Some((weekday, _)) = weekday {
        let dated =
            matches!(words.tail(at), "" | "," | "." | ".,") && words.has(at + 1) && words.lead(at + 1).is_empty();
        let next = words.core(at + 1);
        let swallowed = usize::from(words.tail(at).starts_with('.'));
        let dated = dated && (month(next).is_some() || day(next).is_some());
        return dated.then(|| Reading { text: (*weekday).to_owned(), tokens: 1, swallowed });
    }
    day_first(words, at)
}

fn month_first(words: &Words<'_>, at: usize, month: &str, short: bool) -> Option<Reading> {
    let touches = matches!(words.tail(at), "" | ".") && (words.tail(at).is_empty() || short);
    if !touches || !words.has(at + 1) || !words.lead(at + 1).is_empty() {
        return None;
    }
    let next = words.core(at + 1);
    if is_year(next) {
        return Some(Reading::of(format!("{month} {}", year(next)), 2));
    }
    let days = days(next)?;
    if matches!(words.tail(at + 1), "" | ",") && words.has(at + 2) && is_year(words.core(at + 2)) {
        return Some(Reading::of(format!("{month} {days}, {}", year(words.core(at + 2))), 3));
    }
    Some(Reading::of(format!("{month} {days}"), 2))
}

fn day_first(words: &Words<'_>, at: usize) -> Option<Reading> {
    let days = days(words.core(at)).filter(|_| words.follows(at))?;
    let (month, short) = month(words.core(at + 1))?;
    let dot = short && words.tail(at + 1).starts_with('.');
    let the = if at > 0 && words.core(at - 1).eq_ignore_ascii_case("the") { "" } else { "the " };
    let text = format!("{the}{days} of {month}");
    let ends = words.tail(at + 1).is_empty() || words.tail(at + 1) == "," || (dot && words.tail(at + 1) == ".");
    if ends && words.has(at + 2) && is_year(words.core(at + 2)) {
        return Some(Reading::of(format!("{text} {}", year(words.core(at + 2))), 3));
    }
    Some(Reading { text, tokens: 2, swallowed: usize::from(dot && words.dot_is_mute(at + 1)) })
}

/// `14:30`, `5:05pm`, `10:00-11:30`, `7:15 a.m.`; two numbers with a colon that are no time are a ratio.
pub(super) fn time(words: &Words<'_>, at: usize) -> Option<Reading> {
    const LONGEST: usize = 20;
    let core = words.core(at);
    if core.len() > LONGEST || !core.contains(':') {
        return None;
    }
    let (clock, half) = half(core).map_or((core, None), |(clock, half)| (clock, Some(half)));
    let next = words.follows(at).then(|| words.core(at + 1)).and_then(self::half).filter(|(rest, _)| rest.is_empty());
    let (half, tokens) = match (half, next) {
        (None, Some((_, half))) => (Some(half), 2),
        (half, _) => (half, 1),
    };
    let spoken = match clock.split_once(['-', '–']) {
        Some((from, to)) => format!("{} to {}", of_day(from, half.is_some())?, of_day(to, half.is_some())?),
        None => of_day(clock, half.is_some()).or_else(|| ratio(clock))?,
    };
    let last = at + tokens - 1;
    let dotted = words.core(last).ends_with(".m") || words.core(last).ends_with(".M");
    let swallowed = usize::from(dotted && words.dot_is_mute_before_name(last));
    Some(Reading { text: format!("{spoken}{}", half.unwrap_or_default()), tokens, swallowed })
}

/// `am` or `pm` at the end of `text`, and what stands before it.
fn half(text: &str) -> Option<(&str, &'static str)> {
    const HALVES: &[(&str, &str)] = &[
        ("am", " A M"),
        ("AM", " A M"),
        ("a.m", " A M"),
        ("A.M", " A M"),
        ("pm", " P M"),
        ("PM", " P M"),
        ("p.m", " P M"),
        ("P.M", " P M"),
    ];
    HALVES.iter().find_map(|(mark, words)| text.strip_suffix(mark).map(|clock| (clock, *words)))
}

fn of_day(clock: &str, half: bool) -> Option<String> {
    let fields: Vec<&str> = clock.split(':').collect();
    let (hour, minute, second) = match *fields.as_slice() {
        [hour, minute] => (hour, minute, None),
        [hour, minute, second] => (hour, minute, Some(second)),
        _ => return None,
    };
    let two =
        |text: &str, most: u32| (text.len() == 2 && text.parse().is_ok_and(|number: u32| number <= most)).then_some(());
    let hours = hour.parse::<u32>().ok().filter(|hours| *hours <= 24 && hour.len() <= 2)?;
    two(minute, 59)?;
    second.map_or(Some(()), |second| two(second, 59))?;
    let name = cardinal(hour);
    let spoken = match (minute, second) {
        ("00", None) if half => name,
        ("00", None) if hours == 0 => "midnight".to_owned(),
        ("00", None) if hours <= 12 => format!("{name} o'clock"),
        ("00", None) => format!("{name} hundred"),
        ("00", Some(_)) => format!("{name} o'clock"),
        (minute, _) if minute.starts_with('0') => format!("{name} oh {}", cardinal(minute)),
        (minute, _) => format!("{name} {}", cardinal(minute)),
    };
    Some(match second {
        Some("01") => format!("{spoken} and one second"),
        Some(second) => format!("{spoken} and {} seconds", cardinal(second)),
        None => spoken,
    })
}

fn ratio(text: &str) -> Option<String> {
    let (first, second) = text.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(first) && digits(second)).then(|| format!("{} to {}", cardinal(first), cardinal(second)))
}
