//! What is asked in the words of this family.

use sconce::model::{Knob, RequestError};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What there is to say of [`Options`].
pub const KNOBS: &[Knob] = &[
    Knob::count(
        "hold",
        0.0,
        "never",
        "A pause without end before the section of that number, unless the song is gone on with",
    ),
    Knob::count("checkpoint_bytes", 0.0, "few", "What is kept of it takes so many bytes at least"),
];

/// The family's own knobs, for those who test what is around it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub hold: Option<usize>,
    pub checkpoint_bytes: Option<usize>,
}

impl Options {
    pub fn parse(options: &Map<String, Value>) -> Result<Self, RequestError> {
        serde_json::from_value(Value::Object(options.clone()))
            .map_err(|error| RequestError::Invalid { param: "options", message: error.to_string() })
    }
}
