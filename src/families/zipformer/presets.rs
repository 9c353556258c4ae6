//! The models that Alpha Cephei publishes in this form.

use super::repository::PART;
use crate::model::{Availability, Preset};

macro_rules! vosk {
    ($($called:literal $alias:literal $millions:literal;)*) => {
        &[$(Preset {
            name: concat!("alphacep/vosk-model-", $called),
            aliases: &[$alias],
            parts: &[(PART, concat!("hf://alphacep/vosk-model-", $called))],
            availability: Availability::Available,
            licence: "Apache-2.0",
            million_parameters: $millions,
        }),*]
    };
}

pub const PRESETS: &[Preset] = vosk! {
    "ru" "zipformer-ru" 65;
    "small-ru" "zipformer-small-ru" 23;
    "streaming-ru" "zipformer-streaming-ru" 65;
    "small-streaming-ru" "zipformer-small-streaming-ru" 23;
    "small-streaming-bn" "zipformer-small-streaming-bn" 23;
};
