//! The small models, one a language, as Alpha Cephei publishes them.

use super::repository::PART;
use crate::model::{Availability, Preset};

const APACHE: &str = "Apache-2.0";

macro_rules! small {
    ($($called:literal $alias:literal;)*) => {
        &[$(Preset {
            name: concat!("alphacep/vosk-model-small-", $called),
            aliases: &[$alias],
            parts: &[(PART, concat!("https://alphacephei.com/vosk/models/vosk-model-small-", $called, ".zip"))],
            availability: Availability::Available,
            licence: APACHE,
            million_parameters: 4,
        }),*]
    };
}

pub const PRESETS: &[Preset] = small! {
    "en-us-0.15" "vosk-en";
    "de-0.15" "vosk-de";
    "es-0.42" "vosk-es";
    "fr-0.22" "vosk-fr";
    "it-0.22" "vosk-it";
    "nl-0.22" "vosk-nl";
    "pt-0.3" "vosk-pt";
    "ru-0.22" "vosk-ru";
};
