//! Whisper: speech to text in a hundred languages, by OpenAI and those who distilled it.
//!
//! `net` is the network and knows no text; everything else is how openai-whisper reads a recording with it. One
//! request is a `transcription`: windows over the recording, each a `window` that makes tokens by `sampling` under
//! `filters`, again at higher temperatures where `fallback` doubts the text; then `segments`, `words`, `history`. All
//! of that is pure: the `recogniser` alone brings it together with the network, many requests at a time.

pub mod config;
mod fallback;
mod filters;
#[cfg(test)]
mod fixtures;
mod generation;
mod history;
mod language;
pub mod net;
mod options;
mod pieces;
mod preprocessor;
mod presets;
mod recipe;
mod recogniser;
mod repository;
mod request;
mod sampling;
mod segments;
mod tokens;
mod transcription;
mod window;
mod words;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::{config::Config, net::Net, recipe::Recipe, recogniser::Recogniser};
use crate::{
    model::{Family, LoadError, Model, ModelFiles, Placement, Preset},
    speech::TaskKind,
};

/// The only part of a Whisper.
const PART: &str = "model";

/// The family.
pub struct Whisper;

// === impl Whisper ===

impl Whisper {
    fn config(files: &ModelFiles) -> Result<Config, LoadError> {
        Config::from_json(&files.json(PART, "config.json")?)
    }
}

impl Family for Whisper {
    fn name(&self) -> &'static str {
        "whisper"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Transcribe]
    }

    fn presets(&self) -> &'static [Preset] {
        presets::PRESETS
    }

    fn recognises(&self, config: &Value) -> bool {
        config.get("model_type").and_then(Value::as_str) == Some("whisper")
    }

    fn files(&self, part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        if part != PART {
            return Err(LoadError::Unsupported(format!("Whisper has one part, {PART}, and none called {part}")));
        }
        repository::files(listing)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        Net::footprint(&Self::config(files)?, files, PART, place)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let config = Self::config(files)?;
        preprocessor::check(files, PART, &config)?;
        let recipe = Recipe::read(files, PART, &config)?;
        let net = Net::load(config, files, PART, place)?;
        Ok(Box::new(Recogniser::new(net, recipe, place.max_batch)?))
    }
}
