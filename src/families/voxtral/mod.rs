//! Voxtral: speech to text by a language model that hears, from Mistral AI.
//!
//! A Whisper encoder turns windows of 30 s into rows of numbers, a projector makes four of them one, and a Llama reads
//! those in the place of tokens and writes what was said. `net` is that and knows no text; a `transcription` is what one
//! request does with it, pure; `tekken` is the vocabulary and `sentences` cuts what comes out of it. A `row` is a request
//! that is being answered; the `recogniser` takes all of them a step further, many at a time.

mod config;
mod decoding_config;
mod language;
mod net;
mod options;
mod recogniser;
mod repository;
mod row;
mod sentences;
mod tekken;
mod transcription;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::{config::Config, decoding_config::DecodingConfig, net::Net, recogniser::Recogniser, repository::PART};
use crate::{
    model::{Availability, DeviceId, Family, Knob, LoadError, Model, ModelFiles, Placement, Precision, Preset},
    speech::TaskKind,
};

const PRESETS: &[Preset] = &[
    preset("mistralai/Voxtral-Mini-3B-2507", &["voxtral-mini"], &[(PART, "hf://mistralai/Voxtral-Mini-3B-2507")], 4676),
    preset(
        "mistralai/Voxtral-Small-24B-2507",
        &["voxtral-small"],
        &[(PART, "hf://mistralai/Voxtral-Small-24B-2507")],
        24_262,
    ),
];

const fn preset(
    name: &'static str,
    aliases: &'static [&'static str],
    parts: &'static [(&'static str, &'static str)],
    million_parameters: u32,
) -> Preset {
    Preset { name, aliases, parts, availability: Availability::Available, licence: "Apache-2.0", million_parameters }
}

/// The family.
pub struct Voxtral;

// === impl Voxtral ===

impl Voxtral {
    fn config(files: &ModelFiles) -> Result<Config, LoadError> {
        Config::from_json(files.json(PART, repository::CONFIG)?)
    }
}

impl Family for Voxtral {
    fn name(&self) -> &'static str {
        "voxtral"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Transcribe]
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        options::SAMPLE_RATE
    }

    fn tells_words(&self) -> bool {
        false
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    fn dtypes(&self, device: DeviceId) -> &'static [Precision] {
        match device {
            // What weights of eight bits make of a text was seen with random ones alone.
            DeviceId::Cpu => &[Precision::F32, Precision::F16, Precision::Bf16, Precision::Q8],
            // As it is published, and as it was trained: nobody saw that f16 reaches as far as its numbers do.
            DeviceId::Cuda(_) | DeviceId::Metal => &[Precision::Bf16, Precision::F16, Precision::F32],
        }
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn recognises(&self, config: &Value) -> bool {
        config.get("model_type").and_then(Value::as_str) == Some("voxtral")
            || config["architectures"][0] == "VoxtralForConditionalGeneration"
    }

    fn files(&self, _part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(listing)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        Net::footprint(&Self::config(files)?, files, place)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let config = Self::config(files)?;
        let decoding = DecodingConfig::read(files, &config)?;
        Ok(Box::new(Recogniser::new(Net::load(config, files, place)?, decoding, place.max_batch)))
    }
}
