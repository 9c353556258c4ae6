//! What a caller asked, checked against what the model can do.

use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{flow::FlowOptions, t3::SamplingOptions};
use crate::{
    model::{Knob, RequestError},
    speech::{ConvertOptions, SynthesizeOptions},
};

/// Tokens of one chunk of text, at most, unless a request says otherwise or the model knows fewer: 40 s, as in the
/// reference.
pub const MAX_NEW_TOKENS: usize = 1000;
/// Tokens after which the first sound is made, unless a request says otherwise: about two seconds of speech.
const FIRST_BLOCK: usize = 48;
/// Steps of the flow, at most.
const MOST_STEPS: usize = 100;
/// No voice is known to stay one beyond.
const EXAGGERATION: std::ops::RangeInclusive<f32> = 0.0..=2.0;

/// What there is to say of [`SpeechKnobs`]. Those of the flow are for conversions as well.
pub const KNOBS: &[Knob] = &[
    Knob::number("exaggeration", 0.0, 2.0, "0.5", "How expressive; not of Turbo and Nano"),
    Knob::at_least(
        "cfg_weight",
        0.0,
        "0.5",
        "How closely the text is followed; 0 is no guidance, and half the work; not of Turbo and Nano",
    ),
    Knob::at_least("temperature", 0.0, "0.8", "Of the tokens; 0: always the likeliest"),
    Knob::number(
        "min_p",
        0.0,
        1.0,
        "0.05, of Turbo and Nano 0",
        "How likely a token must be, of the likeliest; 0: any",
    ),
    Knob::number("top_p", 0.0, 1.0, "1, of Turbo and Nano 0.95", "Share that the likeliest tokens have together"),
    Knob::count("top_k", 0.0, "0, of Turbo and Nano 1000", "How many of the likeliest tokens; 0: all"),
    Knob::positive("repetition_penalty", "1.2", "Above 1: tokens that were there become less likely"),
    Knob::count("max_new_tokens", 0.0, "1000", "Tokens of a chunk of the text; 25 are a second"),
    Knob::whole(
        "steps",
        1.0,
        MOST_STEPS as f64,
        "10, of Turbo and Nano 2",
        "Of the flow from tokens to sound; also of conversions",
    ),
    Knob::at_least("cfg_rate", 0.0, "0.7, of Turbo and Nano 0", "How much the flow is guided; also of conversions"),
    Knob::count("first_block", 0.0, "48", "Tokens after which the first sound is made; 0: all"),
];

/// How a text is to be spoken.
#[derive(Clone, Copy, Debug)]
pub struct SpeechOptions {
    pub sampling: SamplingOptions,
    /// As many as there is room for, but for [`MAX_NEW_TOKENS`], if absent.
    pub max_new_tokens: Option<usize>,
    pub exaggeration: f32,
    pub flow: FlowOptions,
    /// Tokens after which the first sound is made; 0: all of them.
    pub first_block: usize,
    pub seed: u64,
}

/// How a recording is to be converted.
#[derive(Clone, Copy, Debug)]
pub struct ConversionOptions {
    pub flow: FlowOptions,
    pub seed: u64,
}

/// What the model takes where a request does not say.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    pub sampling: SamplingOptions,
    pub flow: FlowOptions,
    /// Whether it can be guided, and told to exaggerate.
    pub expressive: bool,
}

/// The knobs of this family for speech: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SpeechKnobs {
    exaggeration: Option<f32>,
    cfg_weight: Option<f32>,
    temperature: Option<f32>,
    min_p: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<usize>,
    repetition_penalty: Option<f32>,
    max_new_tokens: Option<usize>,
    steps: Option<usize>,
    cfg_rate: Option<f32>,
    first_block: Option<usize>,
}

/// Those for conversion.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConversionKnobs {
    steps: Option<usize>,
    cfg_rate: Option<f32>,
}

// === impl SpeechOptions ===

impl SpeechOptions {
    pub fn new(asked: &SynthesizeOptions, defaults: &Defaults) -> Result<Self, RequestError> {
        if asked.speed.is_some_and(|speed| speed != 1.0) {
            return Err(unsupported("speed", "this model speaks at a pace of its own; leave speed out"));
        }
        let knobs: SpeechKnobs = parse(&asked.options)?;
        Ok(Self {
            exaggeration: exaggeration(&knobs, defaults)?,
            flow: flow(defaults.flow, knobs.steps, knobs.cfg_rate)?,
            first_block: knobs.first_block.unwrap_or(FIRST_BLOCK),
            sampling: sampling(&knobs, asked.temperature, defaults)?,
            max_new_tokens: knobs.max_new_tokens,
            seed: seed(asked.seed),
        })
    }
}

/// Neutral if absent.
fn exaggeration(knobs: &SpeechKnobs, defaults: &Defaults) -> Result<f32, RequestError> {
    match knobs.exaggeration {
        Some(_) if !defaults.expressive => Err(not_of_turbo("exaggeration")),
        Some(asked) if !EXAGGERATION.contains(&asked) => {
            let (low, high) = (EXAGGERATION.start(), EXAGGERATION.end());
            Err(invalid(format!("exaggeration is {asked}; {low} to {high} would be right, and 0.5 is neutral")))
        }
        asked => Ok(asked.unwrap_or(0.5)),
    }
}

fn sampling(
    knobs: &SpeechKnobs,
    temperature: Option<f32>,
    defaults: &Defaults,
) -> Result<SamplingOptions, RequestError> {
    if !defaults.expressive && knobs.cfg_weight.is_some_and(|weight| weight != 0.0) {
        return Err(not_of_turbo("cfg_weight"));
    }
    let usual = defaults.sampling;
    let sampling = SamplingOptions {
        temperature: knobs.temperature.or(temperature).unwrap_or(usual.temperature),
        min_p: knobs.min_p.unwrap_or(usual.min_p),
        top_p: knobs.top_p.unwrap_or(usual.top_p),
        top_k: knobs.top_k.unwrap_or(usual.top_k),
        repetition_penalty: knobs.repetition_penalty.unwrap_or(usual.repetition_penalty),
        cfg_weight: knobs.cfg_weight.unwrap_or(usual.cfg_weight),
    };
    match sampling.fault() {
        None => Ok(sampling),
        Some((option, value, expected)) => Err(invalid(format!("{option} is {value}; {expected} would be right"))),
    }
}

// === impl ConversionOptions ===

impl ConversionOptions {
    pub fn new(asked: &ConvertOptions, defaults: &Defaults) -> Result<Self, RequestError> {
        let knobs: ConversionKnobs = parse(&asked.options)?;
        Ok(Self { flow: flow(defaults.flow, knobs.steps, knobs.cfg_rate)?, seed: seed(asked.seed) })
    }
}

fn flow(usual: FlowOptions, steps: Option<usize>, cfg_rate: Option<f32>) -> Result<FlowOptions, RequestError> {
    let flow =
        FlowOptions { steps: steps.unwrap_or(usual.steps), cfg_rate: cfg_rate.unwrap_or(usual.cfg_rate), ..usual };
    if !(1..=MOST_STEPS).contains(&flow.steps) {
        return Err(invalid(format!("steps is {}; 1 to {MOST_STEPS} would be right", flow.steps)));
    }
    if !(flow.cfg_rate >= 0.0 && flow.cfg_rate.is_finite()) {
        return Err(invalid(format!("cfg_rate is {}; 0 or more would be right", flow.cfg_rate)));
    }
    Ok(flow)
}

fn parse<T: DeserializeOwned>(options: &Map<String, Value>) -> Result<T, RequestError> {
    serde_json::from_value(Value::Object(options.clone())).map_err(|error| invalid(format!("options: {error}")))
}

/// By chance if absent. Halved often enough for the numbers of JSON.
fn seed(asked: Option<u64>) -> u64 {
    asked.unwrap_or_else(|| RandomState::new().hash_one("seed") >> 11)
}

fn invalid(message: String) -> RequestError {
    RequestError::Invalid { param: "options", message }
}

fn unsupported(param: &'static str, message: &str) -> RequestError {
    RequestError::Unsupported { param, message: message.to_owned() }
}

fn not_of_turbo(option: &str) -> RequestError {
    unsupported("options", &format!("this model has no {option}: Turbo and Nano speak without it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_options_is_what_is_read() {
        crate::families::fixtures::assert_told::<SpeechKnobs>(KNOBS, &[]);
    }
}
