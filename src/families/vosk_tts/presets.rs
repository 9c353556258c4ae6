//! The voices that Alpha Cephei publishes.

use super::repository::PART;
use crate::model::{Availability, Preset};

macro_rules! multi {
    ($($version:literal $aliases:expr;)*) => {
        &[$(Preset {
            name: concat!("alphacep/vosk-model-tts-ru-", $version, "-multi"),
            aliases: $aliases,
            parts: &[(PART, concat!("https://alphacephei.com/vosk/models/vosk-model-tts-ru-", $version, "-multi.zip"))],
            availability: Availability::Available,
            licence: "Apache-2.0",
            million_parameters: 40,
        }),*]
    };
}

pub const PRESETS: &[Preset] = multi! {
    "0.9" &["vosk-tts-ru", "vosk-tts"];
    "0.7" &["vosk-tts-ru-0.7"];
};
