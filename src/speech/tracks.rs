//! The audio tracks of a recording.

use std::{fmt, str::FromStr};

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Which audio tracks of a recording are heard, where there are several: those of a film in two languages, or the
/// microphone and the others in a recording of a screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracks {
    /// The first that can be decoded and is not silent.
    #[default]
    Auto,
    /// The one of this number, from 0, in the order of the file.
    Number(usize),
    /// Each by itself, and what is heard is labelled by it.
    All,
    /// All of them as one.
    Mix,
}

// === impl Tracks ===

impl Tracks {
    /// What would be right.
    pub const RIGHT: &str = "a number from 0, all, mix or auto";

    /// The one that is asked for by its number.
    pub fn number(self) -> Option<usize> {
        match self {
            Self::Number(number) => Some(number),
            Self::Auto | Self::All | Self::Mix => None,
        }
    }
}

impl FromStr for Tracks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "all" => Ok(Self::All),
            "mix" => Ok(Self::Mix),
            _ => text
                .parse()
                .map(Self::Number)
                .map_err(|_| format!("{text:?} is no track; {} would be right", Self::RIGHT)),
        }
    }
}

impl<'de> Deserialize<'de> for Tracks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrName)
    }
}

/// A number may come as one, or as text.
struct NumberOrName;

impl Visitor<'_> for NumberOrName {
    type Value = Tracks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Tracks::RIGHT)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Tracks, E> {
        usize::try_from(number).map(Tracks::Number).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Tracks, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn tracks_are_named_by_numbers_or_words() {
        for (value, tracks) in [
            (json!(0), Tracks::Number(0)),
            (json!("12"), Tracks::Number(12)),
            (json!("auto"), Tracks::Auto),
            (json!("all"), Tracks::All),
            (json!("mix"), Tracks::Mix),
        ] {
            assert_eq!(from_value::<Tracks>(value).unwrap(), tracks);
        }
        for wrong in [json!("left"), json!(-1), json!(1.5), json!(true), json!([0]), json!("")] {
            let refusal = from_value::<Tracks>(wrong.clone()).unwrap_err().to_string();
            assert!(refusal.contains(Tracks::RIGHT), "{wrong}: {refusal}");
        }
    }
}
