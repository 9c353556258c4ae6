//! What is asked in the words of this family, and what every request of it may say.

use std::hash::{BuildHasher, RandomState};

use sconce::model::{Knob, RequestError};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What there is to say of [`Options`].
pub const KNOBS: &[Knob] = &[
    Knob::truth("endless", "false", "The text again and again, without an end"),
    Knob::count("ends_after", 0.0, "all", "An end after so many letters"),
    Knob::count("only_seed", 0.0, "any", "Both of these under this seed only"),
    Knob::count("panic_at", 0.0, "never", "A panic instead of the block of that number"),
];

/// The family's own knobs. They make it misbehave, for those who test what is around it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The text again and again, without an end.
    pub endless: bool,
    /// An end after so many letters.
    pub ends_after: Option<usize>,
    /// Both of these under this seed only.
    pub only_seed: Option<u64>,
    /// Panic instead of the block of that number.
    pub panic_at: Option<usize>,
}

/// How fast somebody can speak.
const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

impl Options {
    pub fn parse(options: &Map<String, Value>) -> Result<Self, RequestError> {
        serde_json::from_value(Value::Object(options.clone()))
            .map_err(|error| RequestError::Invalid { param: "options", message: error.to_string() })
    }
}

/// The usual one if absent.
pub fn speed(asked: Option<f32>) -> Result<f32, RequestError> {
    let speed = asked.unwrap_or(1.0);
    if SPEEDS.contains(&speed) {
        return Ok(speed);
    }
    let message = format!("speed is {speed}; {} to {} would be right", SPEEDS.start(), SPEEDS.end());
    Err(RequestError::Invalid { param: "speed", message })
}

/// By chance if absent.
pub fn seed(asked: Option<u64>) -> u64 {
    asked.unwrap_or_else(|| RandomState::new().hash_one("seed"))
}
