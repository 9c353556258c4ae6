//! Numbers and times, as the page at `/` writes them.

/// `12 B`, `1.5 MB`, `120 GB`; a kilobyte has a thousand bytes.
pub(super) fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (count, 0);
    while value >= 1000.0 && unit < UNITS.len() - 1 {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let digits = if value >= 100.0 || unit == 0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `45 ms`, `0.12 s`, `34 s`, `5 min`, `3 h`, `2 d`.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => format!("{:.0} ms", s * 1000.0),
        s if s < 1.0 => format!("{s:.2} s"),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86400.0),
    }
}

/// Of a real-time factor.
pub(super) fn factor(value: f64) -> String {
    let digits = if value < 0.1 { 3 } else { 2 };
    format!("{value:.digits$}")
}

/// Words in lines of at most `width` letters; a longer word has a line of its own, and is cut when it is shown.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_tell_something() {
        let all: Vec<_> = [0.0, 999.0, 1500.0, 123_456.0, 9_876_543_210.0].map(bytes).into();
        assert_eq!(all, ["0 B", "999 B", "1.5 kB", "123 kB", "9.9 GB"]);
        let all: Vec<_> = [0.045, 0.123, 1.25, 34.2, 300.0, 7200.0, 200_000.0].map(span).into();
        assert_eq!(all, ["45 ms", "0.12 s", "1.2 s", "34 s", "5 min", "2 h", "2 d"]);
        assert_eq!([factor(0.0456), factor(1.234)], ["0.046", "1.23"]);
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrapped("one two  three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a long-long-word b", 6), ["a", "long-long-word", "b"]);
        assert!(wrapped("", 6).is_empty());
    }
}
