//! `[pause:0.5s]` in plain text, and lengths of time as SSML writes them.

use std::time::Duration;

use super::{
    Boundary, Place, Prosody, TextError,
    error::{PauseFault, excerpt},
    parts::Parts,
};

/// The longest single pause.
const LONGEST: Duration = Duration::from_secs(60);

const OPEN: &str = "[pause:";

/// Nothing longer than this between the brackets is a length of time.
const LONGEST_TAG: usize = 32;

/// Reads `0.5s` or `300ms`.
pub(super) fn time(text: &str) -> Result<Duration, PauseFault> {
    let none = || PauseFault::NoTime(excerpt(text));
    let trimmed = text.trim();
    let (number, unit) = match trimmed.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (trimmed.strip_suffix('s').ok_or_else(none)?, 1.0),
    };
    let number = number.trim_end();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(none());
    }
    let seconds = number.parse::<f64>().map_err(|_| none())? * unit;
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| none())?;
    if time > LONGEST { Err(PauseFault::TooLong(time)) } else { Ok(time) }
}

/// Refuses a text in which a pause is malformed.
pub(super) fn check(text: &str) -> Result<(), TextError> {
    for tag in tags(text) {
        tag.time.map_err(|what| TextError::Pause { place: Place::of(text, tag.start), what })?;
    }
    Ok(())
}

/// Text and pauses as parts. A pause that is none is left in the text; [`check`] refuses it.
pub(super) fn split(text: &str) -> Parts {
    let mut parts = Parts::default();
    let mut done = 0;
    for tag in tags(text) {
        if let Ok(time) = tag.time {
            parts.text(&text[done..tag.start], Prosody::default());
            parts.boundary(Boundary::Pause(time));
            done = tag.end;
        }
    }
    parts.text(&text[done..], Prosody::default());
    parts
}

struct Tag {
    start: usize,
    end: usize,
    time: Result<Duration, PauseFault>,
}

fn tags(text: &str) -> impl Iterator<Item = Tag> + '_ {
    text.match_indices('[').filter_map(|(start, _)| {
        let rest = text[start..].get(..OPEN.len()).filter(|head| head.eq_ignore_ascii_case(OPEN));
        rest.map(|_| tag(text, start))
    })
}

fn tag(text: &str, start: usize) -> Tag {
    let inside = start + OPEN.len();
    let window = &text[inside..text.floor_char_boundary(inside + LONGEST_TAG)];
    match window.find(']') {
        Some(close) => Tag { start, end: inside + close + 1, time: time(&window[..close]) },
        None => Tag { start, end: inside, time: Err(PauseFault::NoTime(excerpt(window))) },
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Part, *};

    #[test]
    fn reads_lengths_of_time() {
        assert_eq!(time("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(time(" 300 ms "), Ok(Duration::from_millis(300)));
        assert_eq!(time("60s"), Ok(LONGEST));
        assert_eq!(time("61s"), Err(PauseFault::TooLong(Duration::from_secs(61))));
        for wrong in ["", "s", "ms", "1", "-1s", "1e3s", "infs", "NaNs", "1.2.3s", "1m", ".s", "9".repeat(400).as_str()]
        {
            assert!(matches!(time(wrong), Err(PauseFault::NoTime(_))), "{wrong:?}");
        }
    }

    #[test]
    fn splits_at_pauses() {
        let parts = split("One. [pause:1s] [PAUSE: 500ms]Two.[pause:x]").into_vec();
        let say = |text: &str| {
            let mut parts = Parts::default();
            parts.text(text, Prosody::default());
            parts.into_vec().remove(0)
        };
        let pause = Part::Boundary(Boundary::Pause(Duration::from_millis(1500)));
        assert_eq!(parts, [say("One. "), pause, say("Two.[pause:x]")]);
    }

    #[test]
    fn a_wrong_pause_is_refused_with_its_place() {
        let error = check("One.\nTwo [pause:soon] three.").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the pause at line 2, column 5 is none: \"soon\" is no length of time; write [pause:0.5s] or [pause:300ms]"
        );
        assert!(check("[pause:90s]").unwrap_err().to_string().contains("longer than the limit of 60 s"));
        assert!(check(&format!("[pause:{}]", "é".repeat(50))).is_err());
        assert_eq!(check("A [pause] and a [laugh]."), Ok(()));
    }
}
