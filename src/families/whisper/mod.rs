//! Whisper: speech to text in a hundred languages, by OpenAI and those who distilled it.
//!
//! `net` is the network and knows no text; everything else is how openai-whisper reads a recording with it. One
//! request is a `transcription`: windows over the recording, each a `window` that makes tokens by `sampling` under
//! `filters`, again at higher temperatures where `fallback` doubts the text; then `segments`, `words`, `history`. All
//! of that is pure: the `recogniser` alone brings it together with the network, many requests at a time.

pub mod config;
mod decoding_config;
mod fallback;
mod filters;
#[cfg(test)]
mod fixtures;
mod formats;
mod generation;
mod generation_config;
mod hallucination;
mod history;
pub mod net;
mod options;
mod preprocessor;
mod presets;
pub mod random;
mod recogniser;
mod repository;
mod search;
mod segments;
mod token_bytes;
mod tokens;
mod transcription;
mod transcription_options;
mod twins;
mod window;
mod words;

#[cfg(test)]
mod tests;

use std::{panic::resume_unwind, thread};

use serde_json::Value;

use self::{config::Config, decoding_config::DecodingConfig, formats::ForeignFormat, net::Net, recogniser::Recogniser};
use crate::{
    model::{DeviceId, Family, Knob, LoadError, Model, ModelFiles, Placement, Precision, Preset, RandomModel},
    nn::SimdLevel,
    speech::TaskKind,
};

/// The family.
pub struct Whisper;

// === impl Whisper ===

impl Whisper {
    /// Of the model, and the part that holds it, with the weights.
    fn config(files: &ModelFiles) -> Result<(Config, &'static str), LoadError> {
        let part = repository::parts(files).network;
        Ok((Config::from_json(&files.json(part, repository::CONFIG)?)?, part))
    }
}

impl Family for Whisper {
    fn name(&self) -> &'static str {
        "whisper"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Transcribe]
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        transcription_options::SAMPLE_RATE
    }

    fn dtypes(&self, device: DeviceId) -> &'static [Precision] {
        match device {
            // Texts are as good, and it is quicker and smaller (docs/PERFORMANCE.md), but beside a matrix unit.
            DeviceId::Cpu if SimdLevel::detect().prefers_bytes() => {
                &[Precision::Q8, Precision::F32, Precision::F16, Precision::Bf16]
            }
            DeviceId::Cpu => &[Precision::F32, Precision::F16, Precision::Bf16, Precision::Q8],
            // As it is published, and as it was trained: its numbers are within f16, and in bf16 its weights would be rounded.
            DeviceId::Cuda(_) | DeviceId::Metal => &[Precision::F16, Precision::F32, Precision::Bf16],
        }
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    fn presets(&self) -> &'static [Preset] {
        presets::PRESETS
    }

    fn twin(&self, name: &str) -> Option<&'static str> {
        twins::twin(name)
    }

    fn random_model(&self, preset: &str) -> Option<&'static dyn RandomModel> {
        random::of_preset(preset)
    }

    fn recognises(&self, config: &Value) -> bool {
        config.get("model_type").and_then(Value::as_str) == Some("whisper")
    }

    fn foreign(&self, name: &str, config: Option<&Value>, listing: &[String]) -> Option<String> {
        let format = config.map_or_else(|| ForeignFormat::of_listing(listing), ForeignFormat::of_config);
        format.map(|format| format.refusal(name))
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        repository::LAYOUTS
    }

    fn files(&self, part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(part, listing)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        let (config, part) = Self::config(files)?;
        Net::footprint(&config, files, part, place)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let (config, part) = Self::config(files)?;
        let spectrum_of = preprocessor::check(files, part, &config)?;
        // A vocabulary of fifty thousand words takes as long to read as small weights do.
        let (decoding, net) = thread::scope(|scope| {
            let decoding = scope.spawn(|| DecodingConfig::read(files, part, &config));
            let net = Net::load(config.clone(), files, part, place);
            (decoding.join().unwrap_or_else(|panic| resume_unwind(panic)), net)
        });
        Ok(Box::new(Recogniser::new(net?, decoding?, spectrum_of, place.max_batch)))
    }
}
