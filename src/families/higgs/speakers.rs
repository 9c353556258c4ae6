//! `[SPEAKER0]`: who says what follows.

use crate::{model::RequestError, speech::VoiceInput};

/// Speakers of a text, at most.
pub const MOST: usize = 8;

const OPEN: &str = "[SPEAKER";
/// Digits of a number that anybody could mean.
const LONGEST: usize = 3;

/// Who speaks, by the numbers in a text, in order; `None` where there is no number that anybody has.
fn tags(text: &str) -> impl Iterator<Item = (Option<usize>, &str)> {
    text.match_indices(OPEN).map(|(start, _)| {
        let rest = &text[start + OPEN.len()..];
        // What has no end is no tag, nor what is very long.
        let Some(end) = rest.find(']').filter(|end| *end <= LONGEST) else { return (None, OPEN) };
        let digits = Some(&rest[..end]).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        (digits.and_then(|digits| digits.parse().ok()), &text[start..=start + OPEN.len() + end])
    })
}

/// Speakers of a text, from the first on.
pub fn count(text: &str) -> usize {
    tags(text).filter_map(|(number, _)| number).map(|number| number + 1).max().unwrap_or(0)
}

/// The last who speaks in it.
pub fn last(text: &str) -> Option<usize> {
    tags(text).filter_map(|(number, _)| number).last()
}

/// What a text says in the voice of `speaker` unless it says itself who speaks.
pub fn spoken_by(text: &str, speaker: usize) -> String {
    if text.trim_start().starts_with(OPEN) { text.to_owned() } else { format!("{} {text}", tag(speaker)) }
}

/// Whether a word says who speaks, without the brackets around it.
pub fn is_tag(word: &str) -> bool {
    word.starts_with(&OPEN[1..])
}

pub fn tag(speaker: usize) -> String {
    format!("{OPEN}{speaker}]")
}

/// Whether everybody who speaks in a text has a voice, where voices are given.
pub fn check(text: &str, voice: Option<&VoiceInput>) -> Result<(), RequestError> {
    let voices = match voice {
        Some(VoiceInput::Cast(cast)) => cast.voices().len(),
        Some(VoiceInput::Reference(_)) => 1,
        _ => MOST,
    };
    for (number, tag) in tags(text) {
        let message = match number {
            Some(number) if number < voices.min(MOST) => continue,
            Some(_) if voices < MOST => {
                let names = match voices {
                    1 => "[SPEAKER0] has one".to_owned(),
                    voices => format!("[SPEAKER0] to [SPEAKER{}] have one", voices - 1),
                };
                format!("the text has {tag}, and {names}: voice takes a list with a voice for each speaker")
            }
            _ => format!("the text has {tag}, which is no speaker; [SPEAKER0] to [SPEAKER{}] are", MOST - 1),
        };
        return Err(RequestError::Invalid { param: "text", message });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        audio::Pcm,
        speech::{ReferenceVoice, VoiceCast},
    };

    #[test]
    fn who_speaks_is_told_by_numbers() {
        let text = "[SPEAKER0] Hello.\n[SPEAKER2] Who? [SPEAKER] [SPEAKERx] [speaker9]";
        assert_eq!((count(text), last(text)), (3, Some(2)));
        assert_eq!((count("Hello. [SPEAKER"), last("")), (0, None));
        assert_eq!(spoken_by("Hello.", 1), "[SPEAKER1] Hello.");
        assert_eq!(spoken_by(" [SPEAKER0] Hello.", 1), " [SPEAKER0] Hello.");
    }

    #[test]
    fn a_speaker_without_a_voice_is_refused() {
        let reference =
            ReferenceVoice { audio: Arc::new(Pcm::new(vec![0.0], 24_000)), sha256: String::new(), transcript: None };
        let reference = VoiceInput::Reference(reference);
        let cast = VoiceInput::Cast(VoiceCast::new(vec![reference.clone(), reference.clone()]).unwrap());
        let refused = |text: &str, voice| check(text, voice).unwrap_err().to_string();
        assert_eq!(check("[SPEAKER0] a [SPEAKER7] b", None), Ok(()));
        assert_eq!(check("[SPEAKER0] a [SPEAKER1] b", Some(&cast)), Ok(()));
        assert_eq!(check("a", Some(&reference)), Ok(()));
        assert!(
            refused("[SPEAKER19] a", None).contains("[SPEAKER19], which is no speaker; [SPEAKER0] to [SPEAKER7] are")
        );
        assert!(refused("[SPEAKER] a", None).contains("[SPEAKER], which is no speaker"));
        assert!(refused("[SPEAKER2] a", Some(&cast)).contains("[SPEAKER0] to [SPEAKER1] have one"));
        assert!(refused("[SPEAKER1] a", Some(&reference)).contains("[SPEAKER0] has one"));
        for odd in ["[SPEAKER", "[SPEAKER99999999999999999999] a", "[SPEAKERé", "a[SPEAKER"] {
            assert!(check(odd, None).is_err(), "{odd}");
        }
    }
}
