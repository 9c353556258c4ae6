//! Lark: a small voice that makes a sentence in one pass. Symbols become lengths, pitch and the bands of a spectrum by
//! ConvNeXt networks, and those become sound by a pulse train, noise and an inverse short-time Fourier transform.
//!
//! `training/lark/` is the reference and the recipe; its weights are inside this program. A `voice` knows sentences and
//! no request; the `speaker` brings many requests to it, a block of sound for each at every step.
//!
//! A folder that holds a `hibari` speaks the same way, by its own networks.

mod alphabet;
mod bands;
mod config;
mod convnext;
mod dense;
mod error;
mod frontend;
mod hibari;
mod ipa;
mod letters;
mod lexicon;
mod net;
mod networks;
mod onnx;
mod plan;
mod source;
mod speaker;
mod utterance;
mod vocoder;
mod voice;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use self::{lexicon::Lexicon, speaker::Speaker, voice::Voice};
use crate::{
    model::{Availability, DeviceId, Family, LoadError, Model, ModelFiles, OwnVoice, Placement, Precision, Preset},
    speech::TaskKind,
    text::{LengthCheck, Script},
};

const PART: &str = "model";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const LEXICON: &str = "lexicon.bin";

/// How many times its file a lexicon takes in memory: what is known before it is here.
const LEXICON_GROWS: u64 = 5;

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

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        &[OwnVoice { name: speaker::NAME, languages: &[Cow::Borrowed("en")], sample_rate: 24_000 }]
    }

    fn dtypes(&self, _device: DeviceId) -> &'static [Precision] {
        &[Precision::F32]
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn recognises(&self, config: &Value) -> bool {
        config["model_type"] == "lark"
    }

    fn recognises_files(&self, listing: &[String]) -> bool {
        [hibari::VOCABULARY, hibari::GOLD, hibari::SILVER]
            .iter()
            .all(|file| listing.iter().any(|listed| listed == file))
    }

    fn files(&self, _part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        let has = |file: &str| listing.iter().any(|listed| listed == file);
        let needed = match has(CONFIG) || !has(hibari::VOCABULARY) {
            true => [CONFIG, WEIGHTS, LEXICON].map(str::to_owned).to_vec(),
            false => {
                let voice = hibari::voice(listing)?;
                vec![voice, hibari::VOCABULARY.to_owned(), hibari::GOLD.to_owned(), hibari::SILVER.to_owned()]
            }
        };
        match needed.iter().find(|file| !has(file)) {
            Some(missing) => Err(LoadError::Missing(missing.clone())),
            None => Ok(needed),
        }
    }

    /// The weights twice, as they are and as they are computed with, and the lexicon. Of a Hibari: its weights are four
    /// times as large when they are no more quantised, and its words five times when they are no more compressed.
    fn footprint(&self, files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
        let bytes = |file: &str, times: u64| {
            let too_large = || LoadError::Malformed { file: file.to_owned(), reason: "it is too large".to_owned() };
            files.size(PART, file)?.checked_mul(times).ok_or_else(too_large)
        };
        let (weights, words) = match files.has(PART, CONFIG) {
            true => (bytes(WEIGHTS, 3)?, lexicon(files)?),
            false => {
                let words = bytes(hibari::GOLD, 5)?.saturating_add(bytes(hibari::SILVER, 5)?);
                (bytes(&graph(files)?, 5)?, words)
            }
        };
        Ok(weights.saturating_add(words))
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let open = |file: &str| files.open(PART, file);
        let voice = match files.has(PART, CONFIG) {
            true => {
                let weights = files.weights(PART, WEIGHTS, place.weights)?;
                Voice::load(&open(CONFIG)?, weights, &open(LEXICON)?)?
            }
            false => {
                let voice = graph(files)?;
                Voice::hibari(&hibari::Files {
                    graph: files.weights(PART, &voice, place.weights)?,
                    vocabulary: open(hibari::VOCABULARY)?,
                    gold: open(hibari::GOLD)?,
                    silver: open(hibari::SILVER)?,
                    voice,
                })?
            }
        };
        Ok(Box::new(Speaker::new(voice, place.max_batch)))
    }
}

/// Bytes of memory of the lexicon, or, as long as it is only known how long it is, about as many.
fn lexicon(files: &ModelFiles) -> Result<u64, LoadError> {
    let (beginning, size) = files.beginning(PART, LEXICON)?;
    match beginning.is_empty() {
        true => Ok(size.saturating_mul(LEXICON_GROWS)),
        false => Ok(Lexicon::footprint(&beginning)? as u64),
    }
}

/// The graph of a Hibari.
fn graph(files: &ModelFiles) -> Result<String, LoadError> {
    let names: Vec<String> = files.names(PART).map(str::to_owned).collect();
    hibari::voice(&names)
}
