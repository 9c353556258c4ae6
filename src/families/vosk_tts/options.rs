//! What a caller asked, checked against what the voice can do.

use std::hash::{BuildHasher, RandomState};

use serde::Deserialize;
use serde_json::Value;

use super::config::{Inference, VoiceConfig};
use crate::{
    model::{Knob, RequestError},
    speech::{SynthesizeOptions, VoiceInput, languages},
};

/// What there is to say of [`Knobs`].
pub const KNOBS: &[Knob] = &[
    Knob::new(
        "noise_level",
        "0 to 2",
        "as the model says, mostly 0.8",
        "How much the sound varies from one time to the next",
    ),
    Knob::new(
        "duration_noise_level",
        "0 to 2",
        "as the model says, mostly 0.8",
        "How much the lengths of the sounds vary",
    ),
];
/// Beyond it nothing is understood any more.
const NOISE: std::ops::RangeInclusive<f32> = 0.0..=2.0;
/// How many times faster than usual.
const RATES: std::ops::RangeInclusive<f32> = 0.1..=10.0;
/// Speakers that an error has room for.
const FEW: usize = 12;
const LANGUAGE: &str = "ru";

/// How a text is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manner {
    pub noise_level: f32,
    pub speech_rate: f32,
    pub duration_noise_level: f32,
    pub speaker: i64,
    pub seed: u64,
}

/// The knobs of this family: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Knobs {
    noise_level: Option<f32>,
    duration_noise_level: Option<f32>,
}

// === impl Manner ===

impl Manner {
    pub fn of(asked: &SynthesizeOptions, voice: &VoiceConfig) -> Result<Self, RequestError> {
        let invalid = |param, message| Err(RequestError::Invalid { param, message });
        let knobs = match Knobs::deserialize(Value::Object(asked.options.clone())) {
            Ok(knobs) => knobs,
            Err(error) => return invalid("options", error.to_string()),
        };
        let given = [("noise_level", knobs.noise_level), ("duration_noise_level", knobs.duration_noise_level)];
        for (name, value) in given {
            if let Some(value) = value.filter(|value| !NOISE.contains(value)) {
                let (low, high) = (NOISE.start(), NOISE.end());
                return invalid("options", format!("{name} is {value}; {low} to {high} would be right"));
            }
        }
        check_language(asked.language.as_deref())?;
        let Inference { noise_level, speech_rate, duration_noise_level, .. } = voice.inference;
        let speed = asked.speed.unwrap_or(1.0);
        if !RATES.contains(&(speech_rate * speed)) {
            let (low, high) = (RATES.start() / speech_rate, RATES.end() / speech_rate);
            return invalid("speed", format!("the speed {speed} is out of range; {low:.2} to {high:.2} are possible"));
        }
        Ok(Self {
            noise_level: knobs.noise_level.unwrap_or(noise_level),
            speech_rate: speech_rate * speed,
            duration_noise_level: knobs.duration_noise_level.unwrap_or(duration_noise_level),
            speaker: speaker(asked.voice.as_ref(), voice)?,
            seed: asked.seed.unwrap_or_else(|| RandomState::new().hash_one("seed")),
        })
    }
}

/// The one that is named, or the usual one.
fn speaker(asked: Option<&VoiceInput>, voice: &VoiceConfig) -> Result<i64, RequestError> {
    match asked {
        None => Ok(0),
        Some(VoiceInput::Named(name)) => {
            let speakers = voice.speakers();
            speakers.iter().find(|(known, _)| known == name).map(|(_, id)| *id).ok_or_else(|| {
                let mut known: Vec<&str> = speakers.iter().take(FEW).map(|(name, _)| name.as_str()).collect();
                let more = format!("and {} more", speakers.len().saturating_sub(FEW));
                known.extend((speakers.len() > FEW).then_some(more.as_str()));
                let message = format!("there is no voice {name:?}; there is {}", known.join(", "));
                RequestError::Invalid { param: "voice", message }
            })
        }
        Some(VoiceInput::Reference(_) | VoiceInput::Blend(_) | VoiceInput::Cast(_)) => Err(RequestError::Unsupported {
            param: "voice",
            message: "this model speaks with its own voices only, one at a time".to_owned(),
        }),
    }
}

fn check_language(asked: Option<&str>) -> Result<(), RequestError> {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    match asked.filter(|asked| !asked.trim().is_empty()) {
        Some(asked) if primary(languages::code(asked).unwrap_or(asked)) != LANGUAGE => {
            let message = format!("this model speaks Russian ({LANGUAGE}), not {asked}");
            Err(RequestError::Unsupported { param: "language", message })
        }
        _ => Ok(()),
    }
}
