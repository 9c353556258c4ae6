//! `<say-as>`: a text read as something that it does not look like.

use super::english::number;

pub(super) const KINDS: &str = "there are characters, spell-out, digits, telephone, cardinal, number, ordinal, fraction, \
                                unit, date, time, currency and address";

/// What a text is to be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Characters,
    Digits,
    Telephone,
    Cardinal,
    Ordinal,
    /// As the normaliser reads it anyway.
    Usual,
}

impl Kind {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "characters" | "spell-out" | "verbatim" => Self::Characters,
            "digits" => Self::Digits,
            "telephone" => Self::Telephone,
            "cardinal" | "number" => Self::Cardinal,
            "ordinal" => Self::Ordinal,
            "fraction" | "unit" | "date" | "time" | "currency" | "address" => Self::Usual,
            _ => return None,
        })
    }

    /// `text` as it is spoken. Digits have English names only if `english`; elsewhere they are parted by spaces.
    pub fn speak(self, text: &str, english: bool) -> String {
        let spelled = |c: char| match number::digit(c) {
            Some(name) if english => name.to_owned(),
            _ => c.to_string(),
        };
        let digits = text.trim().bytes().filter(u8::is_ascii_digit).count();
        let whole = digits > 0 && text.trim().bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
        match self {
            Self::Characters => joined(text.chars().filter(|c| c.is_alphanumeric()).map(spelled), " "),
            Self::Digits => joined(text.chars().filter(char::is_ascii_digit).map(spelled), " "),
            Self::Telephone => {
                let groups = text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty());
                joined(groups.map(|group| joined(group.chars().map(spelled), " ")), ", ")
            }
            Self::Ordinal if english && whole => number::ordinal(&number::cardinal(&text.trim().replace(',', ""))),
            Self::Cardinal if english && whole => number::cardinal(&text.trim().replace(',', "")),
            _ => text.to_owned(),
        }
    }
}

fn joined(words: impl Iterator<Item = String>, between: &str) -> String {
    words.collect::<Vec<_>>().join(between)
}
