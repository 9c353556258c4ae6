//! What a caller asked, checked against what the model can do.

use std::ops::Bound;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::net::SamplingOptions;
use crate::{
    families::option_values::{by_chance, counted, invalid},
    model::{Knob, KnobValues, RequestError},
    speech::SynthesizeOptions,
};

/// Frames of a block of text, at most: 82 s, as in Boson's examples.
pub const MOST_FRAMES: usize = 2048;
/// Frames of a block, unless a request says otherwise: a quarter of a minute, and so many for each ten bytes of the text. A
/// slow voice has a hundred milliseconds a letter.
const LEAST_ROOM: usize = 25 * 15;
const FRAMES_OF_TEN_BYTES: usize = 25;
/// Frames after which the first sound is made, unless a request says otherwise: a second and a half, of which the end is only
/// heard with what follows it.
const FIRST_BLOCK: usize = 36;
/// Blocks that were said before, of which the model is told.
const USUAL_BLOCKS: usize = 2;
const MOST_BLOCKS: usize = 8;

/// What there is to say of [`Knobs`].
pub const KNOBS: &[Knob] = &[
    Knob::number("temperature", 0.0, 10.0, "0.7", "Of the codes; 0: always the likeliest"),
    Knob::count("top_k", 0.0, "50", "How many of the likeliest codes; 0: all"),
    Knob::new(
        "top_p",
        KnobValues::Number(Bound::Excluded(0.0), Bound::Included(1.0)),
        "0.95",
        "Share that the likeliest codes have together; 1: all",
    ),
    Knob::whole("ras_window", 0.0, 100.0, "7", "Columns in which a code counts as repeated; 0: none does"),
    Knob::whole("ras_repeats", 1.0, 100.0, "2", "As often as this, and another code is drawn from all"),
    Knob::whole(
        "max_new_tokens",
        1.0,
        MOST_FRAMES as f64,
        "by the length of the text",
        "Frames of a block of the text; 25 are a second",
    ),
    Knob::whole("first_block", 0.0, MOST_FRAMES as f64, "36", "Frames after which the first sound is made; 0: all"),
    Knob::whole(
        "context_blocks",
        0.0,
        MOST_BLOCKS as f64,
        "2",
        "Blocks of the text that were said before, of which the model is told",
    ),
];

/// How a text is to be spoken.
#[derive(Clone, Copy, Debug)]
pub struct SpeechOptions {
    pub sampling: SamplingOptions,
    max_new_tokens: Option<usize>,
    /// Frames after which the first sound is made; 0: all.
    pub first_block: usize,
    pub context_blocks: usize,
    pub seed: u64,
}

/// The knobs of this family: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Knobs {
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    ras_window: Option<usize>,
    ras_repeats: Option<usize>,
    max_new_tokens: Option<usize>,
    first_block: Option<usize>,
    context_blocks: Option<usize>,
}

// === impl SpeechOptions ===

impl SpeechOptions {
    pub fn new(asked: &SynthesizeOptions) -> Result<Self, RequestError> {
        if asked.speed.is_some_and(|speed| speed != 1.0) {
            let message = "this model speaks at a pace of its own; leave speed out, and describe it in instructions";
            return Err(RequestError::Unsupported { param: "speed", message: message.to_owned() });
        }
        let knobs = Knobs::parse(&asked.options)?;
        Ok(Self {
            sampling: knobs.sampling(asked.temperature)?,
            max_new_tokens: counted("max_new_tokens", knobs.max_new_tokens, 1..=MOST_FRAMES)?,
            first_block: counted("first_block", knobs.first_block, 0..=MOST_FRAMES)?.unwrap_or(FIRST_BLOCK),
            context_blocks: counted("context_blocks", knobs.context_blocks, 0..=MOST_BLOCKS)?.unwrap_or(USUAL_BLOCKS),
            seed: asked.seed.unwrap_or_else(by_chance),
        })
    }

    /// Frames that may be made of such a text.
    pub fn new_frames(&self, text: &str) -> usize {
        let usual = || (LEAST_ROOM + text.len() * FRAMES_OF_TEN_BYTES / 10).min(MOST_FRAMES);
        self.max_new_tokens.unwrap_or_else(usual)
    }
}

// === impl Knobs ===

impl Knobs {
    fn parse(options: &Map<String, Value>) -> Result<Self, RequestError> {
        serde_json::from_value(Value::Object(options.clone())).map_err(|error| invalid(format!("options: {error}")))
    }

    fn sampling(&self, temperature: Option<f32>) -> Result<SamplingOptions, RequestError> {
        let usual = SamplingOptions::default();
        let sampling = SamplingOptions {
            temperature: self.temperature.or(temperature).unwrap_or(usual.temperature),
            top_k: self.top_k.unwrap_or(usual.top_k),
            top_p: self.top_p.unwrap_or(usual.top_p),
            ras_window: self.ras_window.unwrap_or(usual.ras_window),
            ras_repeats: self.ras_repeats.unwrap_or(usual.ras_repeats),
        };
        match sampling.fault() {
            None => Ok(sampling),
            Some((option, value, expected)) => Err(invalid(format!("{option} is {value}; {expected} would be right"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_options_is_what_is_read() {
        crate::families::fixtures::assert_told::<Knobs>(KNOBS, &[]);
    }

    #[test]
    fn a_text_has_room_by_its_length() {
        let options = |asked| SpeechOptions::new(&SynthesizeOptions { options: asked, ..SynthesizeOptions::default() });
        let usual = options(Map::new()).unwrap();
        assert_eq!(usual.new_frames(""), 375);
        assert_eq!(usual.new_frames(&"a".repeat(600)), 1875);
        assert_eq!(usual.new_frames(&"a".repeat(9000)), MOST_FRAMES);
        let few = options([("max_new_tokens".to_owned(), 7.into())].into_iter().collect()).unwrap();
        assert_eq!(few.new_frames("a long text"), 7);
    }
}
