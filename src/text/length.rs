//! Whether a block of speech is absurdly short or long for its text: models that miss their end token go on in silence,
//! murmur, or repeat themselves, and others stop at the first word.

use std::time::Duration;

use super::properties::script;
use icu_properties::props::Script;

/// The bounds of a family, in seconds of speech at the usual rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LengthCheck {
    /// Seconds for a letter at the fastest.
    pub fastest: f32,
    /// Seconds for a letter at the slowest.
    pub slowest: f32,
    /// Seconds that any text may take beyond that: breaths, pauses, the silence at the ends.
    pub slack: f32,
}

impl Default for LengthCheck {
    /// People read English aloud at 12 to 20 letters a second; half as slow and twice as fast again is still speech.
    fn default() -> Self {
        Self { fastest: 0.02, slowest: 0.2, slack: 2.0 }
    }
}

/// The name of a letter takes as long as so many letters of a word.
const SPELLED: f32 = 4.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthVerdict {
    Fine,
    /// The model stopped early; `least` would be believable.
    TooShort {
        least: Duration,
    },
    /// The model did not find the end; `most` would be believable.
    TooLong {
        most: Duration,
    },
}

impl LengthCheck {
    /// Believes anything: for models that know how long they will speak before they begin.
    pub const NONE: Self = Self { fastest: 0.0, slowest: f32::INFINITY, slack: f32::INFINITY };

    /// Judges `spoken` as the length of `text` at `rate` times the usual speed.
    pub fn judge(&self, text: &str, rate: f32, spoken: Duration) -> LengthVerdict {
        let (least, most) = self.bounds(text, rate);
        match spoken {
            spoken if spoken < least => LengthVerdict::TooShort { least },
            spoken if spoken > most => LengthVerdict::TooLong { most },
            _ => LengthVerdict::Fine,
        }
    }

    /// The least and the most that `text` may take: what a family may also cap its steps by.
    pub fn bounds(&self, text: &str, rate: f32) -> (Duration, Duration) {
        let (mut least, mut most) = (0.0, 0.0);
        for word in text.split_whitespace() {
            let letters: f32 = word.chars().map(weight).sum();
            if !is_tag(word) {
                least += letters;
            }
            most += if may_be_spelled(word) { SPELLED * letters } else { letters };
        }
        let rate = if rate > 0.0 { rate } else { 1.0 };
        let seconds = |seconds: f32| Duration::try_from_secs_f32(seconds / rate).unwrap_or(Duration::MAX);
        (seconds(least * self.fastest), seconds(most * self.slowest + self.slack))
    }
}

/// Whether a word is in brackets: it says who speaks, or is a sound, which takes its time, but is not read aloud.
fn is_tag(word: &str) -> bool {
    word.starts_with('[') && word.trim_end_matches(|c: char| c.is_ascii_punctuation() && c != ']').ends_with(']')
}

/// Whether a word may be said letter by letter: one letter alone, or capitals.
fn may_be_spelled(word: &str) -> bool {
    let capitals = word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase);
    capitals || word.chars().filter(|c| c.is_alphabetic()).count() == 1
}

/// How many letters of English a character takes as long as.
fn weight(c: char) -> f32 {
    match c {
        c if c.is_numeric() => 5.0,
        c if !c.is_alphabetic() => 0.0,
        c if c < '\u{1100}' => 1.0,
        c => match script(c) {
            Script::Han => 3.0,
            Script::Hangul | Script::Hiragana | Script::Katakana => 2.0,
            _ => 1.0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str, seconds: f32) -> LengthVerdict {
        LengthCheck::default().judge(text, 1.0, Duration::from_secs_f32(seconds))
    }

    #[test]
    fn believes_speech_and_not_what_is_absurd() {
        let text = "The quick brown fox jumps over the lazy dog.";
        assert_eq!(judge(text, 2.5), LengthVerdict::Fine);
        assert!(matches!(judge(text, 0.2), LengthVerdict::TooShort { .. }));
        assert!(matches!(judge(text, 30.0), LengthVerdict::TooLong { .. }));
        assert_eq!(judge("Yes.", 1.5), LengthVerdict::Fine);
        assert_eq!(judge("你好，世界。今天天气很好。", 3.0), LengthVerdict::Fine);
        assert_eq!(judge("1234567890", 4.5), LengthVerdict::Fine);
    }

    #[test]
    fn what_may_be_spelled_may_take_longer() {
        assert_eq!(judge("A B C D E F G H I J K L M N O P Q R S T U V W X Y Z", 14.0), LengthVerdict::Fine);
        assert_eq!(judge("NASA, FBI, CIA, HTML", 9.0), LengthVerdict::Fine);
        assert!(matches!(judge("nasa, fbi, cia, html", 9.0), LengthVerdict::TooLong { .. }));
    }

    #[test]
    fn who_speaks_is_not_read_aloud() {
        assert_eq!(judge("[SPEAKER0] No. [SPEAKER1] Yes.", 0.3), LengthVerdict::Fine);
        assert_eq!(judge("[laugh].", 0.1), LengthVerdict::Fine);
        assert!(matches!(judge("SPEAKER0 No. SPEAKER1 Yes.", 0.3), LengthVerdict::TooShort { .. }));
    }

    #[test]
    fn a_slower_voice_may_take_longer() {
        let text = "The quick brown fox jumps over the lazy dog.";
        let check = LengthCheck::default();
        assert_eq!(check.judge(text, 0.5, Duration::from_secs(15)), LengthVerdict::Fine);
        assert!(matches!(check.judge(text, 2.0, Duration::from_secs(15)), LengthVerdict::TooLong { .. }));
    }

    #[test]
    fn a_model_that_plans_its_lengths_is_believed() {
        for (text, seconds) in [("The quick brown fox.", 0.0), ("", 1e6), ("zzzzzzzzzzzz", 1e6)] {
            let spoken = Duration::from_secs_f32(seconds);
            assert_eq!(LengthCheck::NONE.judge(text, 1.0, spoken), LengthVerdict::Fine);
        }
    }

    #[test]
    fn strange_bounds_do_not_panic() {
        let check = LengthCheck { fastest: f32::NAN, slowest: f32::INFINITY, slack: -1e30 };
        for rate in [0.0, -1.0, f32::NAN, f32::MIN_POSITIVE] {
            check.judge("text", rate, Duration::from_secs(1));
        }
    }
}
