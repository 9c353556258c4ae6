//! Whispers of the published shapes with random weights: what they take of time and memory is what the published ones take,
//! and nothing has to be fetched to know it. What they say means nothing.

mod shapes;
mod vocabulary;
mod weights;

use std::{fs, io, path::Path};

pub use self::weights::{Numbers, write_weights};
use self::{shapes::Shape, vocabulary::Vocabulary};
use super::repository;
use crate::model::RandomModel;

/// What makes a request one pass over its recording, as speech is one: nothing that is said is doubted, for it would be at
/// every temperature, and no time is told, for windows would follow it.
const FIELDS: [(&str, &str); 5] = [
    ("language", "en"),
    ("without_timestamps", "true"),
    ("compression_ratio_threshold", "null"),
    ("logprob_threshold", "null"),
    ("no_speech_threshold", "null"),
];

/// The one of a preset.
pub fn of_preset(preset: &str) -> Option<&'static dyn RandomModel> {
    shapes::SHAPES.iter().find(|shape| shape.preset == preset).map(|shape| shape as &dyn RandomModel)
}

// === impl RandomModel for Shape ===

impl RandomModel for Shape {
    fn write(&self, folder: &Path, seed: u64) -> io::Result<()> {
        let (config, vocabulary) = (self.config(), Vocabulary::of_size(self.vocabulary));
        fs::write(folder.join(repository::CONFIG), config.to_string())?;
        fs::write(folder.join(repository::VOCABULARY), vocabulary.tokenizer().to_string())?;
        fs::write(folder.join("generation_config.json"), vocabulary.generation().to_string())?;
        write_weights(&folder.join("model.safetensors"), &config, Numbers::F16, seed)
    }

    fn fields(&self) -> &'static [(&'static str, &'static str)] {
        &FIELDS
    }

    fn longest_sound(&self) -> f64 {
        shapes::WINDOW_SECONDS
    }
}
