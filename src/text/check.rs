//! Whether there is anything to say, and whether a model can say it.

use icu_properties::{PropertyNamesLong, props::Script};

use super::{
    TextError,
    properties::{is_emoji, is_invisible, is_letter, script},
};

/// Refuses a text of more than `limit` characters.
pub(super) fn length(text: &str, limit: usize) -> Result<(), TextError> {
    if text.len() <= limit {
        return Ok(()); // a character has at least one byte
    }
    let length = text.chars().count();
    if length > limit { Err(TextError::TooLong { length, limit }) } else { Ok(()) }
}

/// Refuses a text without a letter or a digit, and says what it has instead.
pub(super) fn something_to_say(text: impl Iterator<Item = char>) -> Result<(), TextError> {
    let (mut emoji, mut control, mut other) = (false, false, false);
    for c in text {
        match c {
            c if c.is_alphanumeric() => return Ok(()),
            c if is_emoji(c) => emoji = true,
            '\u{200D}' => {} // joins emoji
            c if is_invisible(c) || (c.is_control() && !c.is_whitespace()) => control = true,
            c if c.is_whitespace() => {}
            _ => other = true,
        }
    }
    Err(match (emoji, other, control) {
        (true, ..) => TextError::OnlyEmoji,
        (_, true, _) => TextError::OnlyPunctuation,
        (.., true) => TextError::OnlyControl,
        _ => TextError::Blank,
    })
}

/// Refuses a text most of whose letters are in scripts that are not `spoken`; an empty list speaks all. A foreign name in
/// a text is the family's to read or to leave out.
pub(super) fn scripts(text: impl Iterator<Item = char>, spoken: &[Script]) -> Result<(), TextError> {
    if spoken.is_empty() {
        return Ok(());
    }
    let (mut known, mut foreign, mut first) = (0_usize, 0_usize, None);
    for c in text.filter(|&c| is_letter(c)) {
        match script(c) {
            Script::Common | Script::Inherited => {}
            of if spoken.contains(&of) => known += 1,
            of => {
                foreign += 1;
                first.get_or_insert((of, c));
            }
        }
    }
    match first {
        Some((script, example)) if foreign > known => {
            let spoken = spoken.iter().map(|&script| name(script)).collect();
            Err(TextError::Script { script: name(script), example, spoken })
        }
        _ => Ok(()),
    }
}

fn name(script: Script) -> String {
    PropertyNamesLong::<Script>::new().get(script).unwrap_or("unknown").to_owned()
}
