//! Lark: a small voice that makes a sentence in one pass. Symbols become lengths, pitch and the bands of a spectrum by
//! ConvNeXt networks, and those become sound by a pulse train, noise and an inverse short-time Fourier transform.
//!
//! `training/lark/` is the reference and the recipe; its weights are inside this program. A `voice` knows sentences and
//! no request; the `speaker` brings many requests to it, a block of sound for each at every step.

mod alphabet;
mod config;
mod convnext;
mod dense;
mod error;
mod frontend;
mod ipa;
mod istft;
mod letters;
mod lexicon;
mod net;
mod speaker;
mod utterance;
mod vocoder;
mod voice;

#[cfg(test)]
mod tests;

use candle_core::DType;
use serde_json::Value;

use self::{speaker::Speaker, voice::Voice};
use crate::{
    model::{Availability, DeviceId, Family, LoadError, Model, ModelFiles, OwnVoice, Placement, Preset},
    speech::TaskKind,
    text::{LengthCheck, Script},
};

const PART: &str = "model";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const LEXICON: &str = "lexicon.bin";

/// The family.
pub struct Lark;

const PRESETS: &[Preset] = &[Preset {
    name: "sconce/lark.en",
    aliases: &["lark.en"],
    parts: &[(PART, "embedded:lark.en")],
    availability: Availability::Available,
    licence: "Apache-2.0",
    million_parameters: 2,
}];

// === impl Lark ===

impl Family for Lark {
    fn name(&self) -> &'static str {
        "lark"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize]
    }

    fn scripts(&self) -> &'static [Script] {
        &[Script::Latin]
    }

    /// How long each sound lasts is planned before the first is made, and no seed changes it: there is no end to be missed.
    fn length_check(&self) -> LengthCheck {
        LengthCheck::NONE
    }

    fn follows_pitch(&self) -> bool {
        true
    }

    fn voices(&self) -> &'static [OwnVoice] {
        &[OwnVoice { name: speaker::NAME, languages: &["en"], sample_rate: 24_000 }]
    }

    fn dtypes(&self, _device: DeviceId) -> &'static [DType] {
        &[DType::F32]
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn recognises(&self, config: &Value) -> bool {
        config["model_type"] == "lark"
    }

    fn files(&self, _part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        let needed = [CONFIG, WEIGHTS, LEXICON];
        match needed.iter().find(|file| !listing.iter().any(|listed| listed == *file)) {
            Some(missing) => Err(LoadError::Missing((*missing).to_owned())),
            None => Ok(needed.map(str::to_owned).to_vec()),
        }
    }

    /// The weights twice, as they are and as they are computed with, and the lexicon.
    fn footprint(&self, files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
        let bytes = |file, times: u64| {
            let too_large = || LoadError::Malformed { file: String::from(file), reason: "it is too large".to_owned() };
            files.size(PART, file)?.checked_mul(times).ok_or_else(too_large)
        };
        Ok(bytes(WEIGHTS, 3)?.saturating_add(bytes(LEXICON, 2)?))
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let open = |file| files.open(PART, file);
        let weights = files.weights(PART, WEIGHTS, place.weights)?;
        let voice = Voice::load(&open(CONFIG)?, weights, &open(LEXICON)?)?;
        Ok(Box::new(Speaker::new(voice, place.max_batch)))
    }
}
