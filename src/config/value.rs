//! How a value is written, whatever layer it comes from: durations, sizes, choices and the rest.

use std::time::Duration;

use crate::remote::{SecretUrl, shown};

/// A value as it was written. It may be a secret, so it has no `Debug`.
#[derive(Clone)]
pub(super) enum Raw {
    Text(String),
    /// An array of the file, or a flag that was repeated.
    List(Vec<String>),
}

/// How values of one type are read and written.
pub(super) struct Kind<T: 'static> {
    /// What would be right, as in "expected …".
    pub expected: &'static str,
    pub parse: fn(&Raw) -> Option<T>,
    /// The canonical way to write it; `parse` takes it back.
    pub show: fn(&T) -> String,
}

pub(super) const TEXT: Kind<String> =
    Kind { expected: "a text", parse: |raw| text(raw).map(str::to_owned), show: String::clone };

pub(super) const NAME: Kind<String> = Kind { expected: "a name", ..TEXT };

pub(super) const FLAG: Kind<bool> = Kind { expected: "true or false", parse: flag, show: bool::to_string };

pub(super) const PORT: Kind<u16> =
    Kind { expected: "a port, 0 to 65535", parse: |raw| text(raw)?.parse().ok(), show: u16::to_string };

pub(super) const COUNT: Kind<usize> =
    Kind { expected: "a whole number of at least 1", parse: count, show: usize::to_string };

pub(super) const DURATION: Kind<Duration> = Kind {
    expected: "a duration such as 500ms, 30s, 5m or 2h",
    parse: |raw| duration(text(raw)?),
    show: show_duration,
};

pub(super) const SIZE: Kind<u64> = Kind {
    expected: "a size of at least 1 byte, such as 100MB or 8GiB",
    parse: |raw| size(text(raw)?),
    show: show_size,
};

pub(super) const URL: Kind<SecretUrl> =
    Kind { expected: "an http:// or https:// address", parse: |raw| url(text(raw)?), show: SecretUrl::to_string };

/// Addresses, separated by commas or blanks where they are written as one text.
pub(super) const URLS: Kind<Vec<SecretUrl>> = Kind {
    expected: "an http:// or https:// address, or several, separated by commas",
    parse: |raw| names(raw)?.iter().map(|item| url(item)).collect::<Option<Vec<_>>>().filter(|urls| !urls.is_empty()),
    show: |urls| urls.iter().map(SecretUrl::to_string).collect::<Vec<_>>().join(","),
};

pub(super) const ROUTE: Kind<String> = Kind {
    expected: "a path that begins with a slash",
    parse: |raw| text(raw).filter(|path| path.starts_with('/')).map(str::to_owned),
    show: String::clone,
};

/// Names, separated by commas or blanks where they are written as one text.
pub(super) const NAMES: Kind<Vec<String>> =
    Kind { expected: "names, separated by commas", parse: names, show: |names| names.join(",") };

impl Raw {
    /// As it may be printed: not for secrets, and without the password of an address.
    pub fn shown(&self) -> String {
        let listed = |text: &str| text.split(',').map(shown).collect::<Vec<_>>().join(",");
        match self {
            Self::Text(text) => listed(text),
            Self::List(items) => {
                format!("[{}]", items.iter().map(|item| listed(item)).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Splits at commas and blanks.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty())
}

pub(super) fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) if !text.trim().is_empty() => Some(text.trim()),
        _ => None,
    }
}

/// Looks a word up among the allowed ones; case and the kind of dash do not matter.
pub(super) fn choice<T: Copy>(raw: &Raw, choices: &[(&str, T)]) -> Option<T> {
    let word = text(raw)?.to_lowercase().replace('-', "_");
    choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// The word for a value of [`choice`].
pub(super) fn word<T: PartialEq>(value: &T, choices: &[(&str, T)]) -> String {
    choices.iter().find(|(_, choice)| choice == value).map(|(name, _)| (*name).to_owned()).unwrap_or_default()
}

/// An array may be empty; a text that holds nothing is a mistake.
fn names(raw: &Raw) -> Option<Vec<String>> {
    match raw {
        Raw::Text(text) => Some(items(text).map(str::to_owned).collect()).filter(|names: &Vec<_>| !names.is_empty()),
        Raw::List(items) => Some(items.clone()),
    }
}

fn flag(raw: &Raw) -> Option<bool> {
    const WORDS: [(&str, bool); 8] = [
        ("true", true),
        ("1", true),
        ("yes", true),
        ("on", true),
        ("false", false),
        ("0", false),
        ("no", false),
        ("off", false),
    ];
    choice(raw, &WORDS)
}

fn count(raw: &Raw) -> Option<usize> {
    text(raw)?.parse().ok().filter(|count| *count > 0)
}

fn url(text: &str) -> Option<SecretUrl> {
    let url = text.trim().trim_end_matches('/');
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    (!host.is_empty()).then(|| url.into())
}

/// A bare number is seconds.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let seconds = match unit.as_str() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

fn show_duration(duration: &Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let whole = units.iter().find(|(_, unit)| milliseconds >= *unit && milliseconds.is_multiple_of(*unit));
    match whole {
        Some((unit, length)) => format!("{}{unit}", milliseconds / length),
        None if milliseconds == 0 => "0s".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

/// Letters after the number and what they multiply by.
const SIZES: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1000),
];

/// A bare number is bytes; `Gi`, as Kubernetes writes it, is `GiB`.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let unit = unit.trim_end_matches('b').to_owned();
    let bytes = match unit.as_str() {
        "" => 1,
        _ => SIZES.iter().find(|(name, _)| name.to_lowercase().trim_end_matches('b') == unit)?.1,
    };
    let size = number * bytes as f64;
    (1.0..=i64::MAX as f64).contains(&size).then_some(size as u64)
}

fn show_size(size: &u64) -> String {
    match SIZES.iter().find(|(_, unit)| size.is_multiple_of(*unit)) {
        Some((unit, bytes)) => format!("{}{unit}", size / bytes),
        None => size.to_string(),
    }
}

/// `1.5 GB` → 1.5 and `gb`. Neither signs nor exponents.
fn number_and_unit(text: &str) -> Option<(f64, String)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<T>(kind: &Kind<T>, text: &str) -> Option<T> {
        (kind.parse)(&Raw::Text(text.to_owned()))
    }

    #[test]
    fn durations_have_units_and_a_bare_number_is_seconds() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("5m", 300_000),
            ("500ms", 500),
            ("45", 45_000),
            ("1.5 s", 1500),
            ("2h", 7_200_000),
            ("0", 0),
        ] {
            assert_eq!(parsed(&DURATION, text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "soon", "-1s", "5 parsecs", "1e9s", "1.2.3s", "99999999999999999999d"] {
            assert_eq!(parsed(&DURATION, text), None, "{text}");
        }
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in [
            ("100MB", 100_000_000),
            ("8GiB", 8 << 30),
            ("8Gi", 8 << 30),
            ("512k", 512_000),
            ("1024", 1024),
            ("1.5 kb", 1500),
        ] {
            assert_eq!(parsed(&SIZE, text), Some(bytes), "{text}");
        }
        for text in ["", "0", "-5", "10 bushels", "much", "999999999TB"] {
            assert_eq!(parsed(&SIZE, text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for text in ["0s", "500ms", "90s", "5m", "2h", "48h"] {
            assert_eq!(show_duration(&parsed(&DURATION, text).unwrap()), text);
        }
        for text in ["100MB", "8GiB", "1KiB", "1001", "3TB"] {
            assert_eq!(show_size(&parsed(&SIZE, text).unwrap()), text);
        }
    }

    #[test]
    fn booleans_are_said_in_four_ways() {
        for (yes, no) in [("true", "false"), ("1", "0"), ("yes", "no"), ("ON", "Off")] {
            assert_eq!((parsed(&FLAG, yes), parsed(&FLAG, no)), (Some(true), Some(false)));
        }
        assert_eq!(parsed(&FLAG, "maybe"), None);
    }

    #[test]
    fn counts_and_ports_are_bounded() {
        assert_eq!((parsed(&COUNT, "3"), parsed(&COUNT, "0"), parsed(&COUNT, "2.5")), (Some(3), None, None));
        assert_eq!((parsed(&PORT, "65535"), parsed(&PORT, "65536"), parsed(&PORT, "http")), (Some(65535), None, None));
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let raw = Raw::Text("https://me:s3cret@hub.example/api, http://me:s3cret@mirror?sig=s3cret".into());
        assert_eq!(raw.shown(), "https://***@hub.example/api, http://***@mirror?…");
        assert_eq!((URL.show)(&"https://me:s3cret@hub.example".into()), "https://***@hub.example");
        assert_eq!(Raw::Text("hf://org/name@main".into()).shown(), "hf://org/name@main");
    }
}
