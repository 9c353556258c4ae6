//! What a caller asked, checked against what the voice can do.

use std::hash::{BuildHasher, RandomState};

use serde::Deserialize;
use serde_json::Value;

use super::config::{Scales, VoiceConfig};
use crate::{
    model::{Knob, RequestError},
    speech::{SynthesizeOptions, VoiceInput, languages},
};

/// What there is to say of [`Knobs`].
pub const KNOBS: &[Knob] = &[
    Knob {
        name: "noise_scale",
        range: "0 to 2",
        usual: "as the voice says, mostly 0.667",
        about: "How much the sound varies from one time to the next",
    },
    Knob {
        name: "noise_w",
        range: "0 to 2",
        usual: "as the voice says, mostly 0.8",
        about: "How much the lengths of the sounds vary",
    },
];
/// Beyond it nothing is understood any more.
const NOISE: std::ops::RangeInclusive<f32> = 0.0..=2.0;
/// How many times longer than usual a sound may be.
const LENGTHS: std::ops::RangeInclusive<f32> = 0.1..=10.0;

/// How a text is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manner {
    pub noise_scale: f32,
    pub length_scale: f32,
    pub noise_w: f32,
    /// Of a voice of several speakers.
    pub speaker: i64,
    pub seed: u64,
}

/// The knobs of this family: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Knobs {
    noise_scale: Option<f32>,
    noise_w: Option<f32>,
}

// === impl Manner ===

impl Manner {
    pub fn of(asked: &SynthesizeOptions, voice: &VoiceConfig) -> Result<Self, RequestError> {
        let invalid = |param, message| Err(RequestError::Invalid { param, message });
        let knobs = match Knobs::deserialize(Value::Object(asked.options.clone())) {
            Ok(knobs) => knobs,
            Err(error) => return invalid("options", error.to_string()),
        };
        for (name, value) in [("noise_scale", knobs.noise_scale), ("noise_w", knobs.noise_w)] {
            if let Some(value) = value.filter(|value| !NOISE.contains(value)) {
                return invalid(
                    "options",
                    format!("{name} is {value}; {} to {} would be right", NOISE.start(), NOISE.end()),
                );
            }
        }
        check_language(asked.language.as_deref(), &voice.language())?;
        let Scales { noise_scale, length_scale, noise_w } = voice.inference;
        let speed = asked.speed.unwrap_or(1.0);
        let length_scale = length_scale / speed;
        if !LENGTHS.contains(&length_scale) {
            let usual = voice.inference.length_scale;
            let (low, high) = (usual / LENGTHS.end(), usual / LENGTHS.start());
            return invalid("speed", format!("the speed {speed} is out of range; {low:.2} to {high:.2} are possible"));
        }
        Ok(Self {
            noise_scale: knobs.noise_scale.unwrap_or(noise_scale),
            length_scale,
            noise_w: knobs.noise_w.unwrap_or(noise_w),
            speaker: speaker(asked.voice.as_ref(), voice)?,
            seed: asked.seed.unwrap_or_else(|| RandomState::new().hash_one("seed")),
        })
    }
}

/// The one that is named, or the usual one.
fn speaker(asked: Option<&VoiceInput>, voice: &VoiceConfig) -> Result<i64, RequestError> {
    const FEW: usize = 12;
    let speakers = voice.speakers();
    match asked {
        None => Ok(speakers.first().map_or(0, |(_, id)| *id)),
        Some(VoiceInput::Named(name)) => {
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

/// A voice speaks one language; of its varieties any will do.
fn check_language(asked: Option<&str>, own: &str) -> Result<(), RequestError> {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    match asked {
        Some(asked) if primary(languages::code(asked).unwrap_or(asked)) != primary(own) => {
            let message = format!("this voice speaks {own}, not {asked}");
            Err(RequestError::Unsupported { param: "language", message })
        }
        _ => Ok(()),
    }
}
