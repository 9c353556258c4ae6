//! What a caller asked, checked against what the model can do.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    net::{ConditionRange, SamplingOptions},
    text::Language,
};
use crate::{
    families::option_values::{by_chance, counted, invalid},
    model::{Knob, KnobValues, RequestError},
    speech::{ReferenceVoice, SynthesizeOptions},
};

/// Frames of a chunk of text, at most: a minute. The model was trained on half of it.
const MOST_FRAMES: usize = 2 * USUAL_FRAMES;
/// The same with what was said before, unless a request says otherwise: 30 s, as in the reference.
pub const USUAL_FRAMES: usize = 86 * 30;
/// Frames that there is room for whatever was said before: 10 s.
const LEAST_ROOM: usize = 86 * 10;
/// Frames after which the first sound is made, unless a request says otherwise: a third of a second.
const FIRST_BLOCK: usize = 32;

/// The reference's manner of speaking.
const HAPPY_AND_NEUTRAL: [f32; 8] = [0.3077, 0.0256, 0.0256, 0.0256, 0.0256, 0.0256, 0.2564, 0.3077];
const FMAX: f32 = 22_050.0;
const PITCH_STD: f32 = 20.0;
const SPEAKING_RATE: f32 = 15.0;
const CTC_LOSS: f32 = 0.0;

/// The knob that holds a recording.
pub const PREFIX: &str = "audio_prefix";

/// What there is to say of [`Knobs`].
pub const KNOBS: &[Knob] = &[
    Knob::new(
        "emotion",
        KnobValues::Other("8 numbers, 0 to 1, not all 0"),
        "[0.3077, 0.0256, 0.0256, 0.0256, 0.0256, 0.0256, 0.2564, 0.3077]",
        "Happiness, sadness, disgust, fear, surprise, anger, other, neutral, by their ratio",
    )
    .or_null(),
    Knob::number(
        "fmax",
        0.0,
        24_000.0,
        "22050",
        "Highest frequency of the recordings that it is to sound like, in hertz",
    )
    .or_null(),
    Knob::number("pitch_std", 0.0, 400.0, "20", "Deviation of the pitch").or_null(),
    Knob::number("speaking_rate", 0.0, 40.0, "15", "Phonemes a second, before speed").or_null(),
    Knob::whole("language_id", -1.0, 126.0, "that of the language", "The number that the model knows a language by")
        .or_null(),
    Knob::new(
        "vqscore_8",
        KnobValues::Other("one or 8 numbers, 0.5 to 0.8"),
        "null",
        "Hybrid: how clean each eighth of the sound is",
    )
    .or_null(),
    Knob::number("ctc_loss", -1.0, 1000.0, "0", "Hybrid: how far the sound may be from the text").or_null(),
    Knob::number("dnsmos_ovrl", 1.0, 5.0, "null", "Hybrid: the quality that listeners would give").or_null(),
    Knob::truth("speaker_noised", "false", "Hybrid: whether the recording of the voice is noisy").or_null(),
    Knob::number("cfg_scale", 1.0, 10.0, "2", "How much all of these count; 1 is no guidance, and half the work"),
    Knob::number("temperature", 0.0, 10.0, "1", "Of the codes; 0: always the likeliest"),
    Knob::number("top_p", 0.0, 1.0, "0", "Share that the likeliest codes have together; 0: all"),
    Knob::count("top_k", 0.0, "0", "How many of the likeliest codes; 0: all"),
    Knob::number("min_p", 0.0, 1.0, "0.1", "How likely a code must be, of the likeliest; 0: any"),
    Knob::number("linear", -2.0, 2.0, "0", "The unified sampler, where it is above 0: how much what is likely counts"),
    Knob::number(
        "confidence",
        -2.0,
        2.0,
        "0",
        "The unified sampler: how much more it counts where the model is unsure",
    ),
    Knob::number("quadratic", -2.0, 2.0, "0", "The unified sampler: how much less likely what is unlikely becomes"),
    Knob::number("repetition_penalty", 0.1, 10.0, "3", "Of codes that were there in the last columns; 1: none"),
    Knob::whole("repetition_window", 0.0, 100.0, "2", "Columns in which a code counts as repeated"),
    Knob::whole(
        "max_new_tokens",
        1.0,
        MOST_FRAMES as f64,
        "what 30 s have room for",
        "Frames of a chunk of the text; 86 are a second",
    ),
    Knob::whole("first_block", 0.0, MOST_FRAMES as f64, "32", "Frames after which the first sound is made; 0: all"),
    Knob::new(
        PREFIX,
        KnobValues::Other(
            "{\"id\": name} of a recording of /v1/audio/voices, or base64 of one as short as 64 kB of options; at most 30 s",
        ),
        "none",
        "Sound that is gone on with; the answer is what follows it",
    ),
];

/// How a text is to be spoken.
#[derive(Clone, Debug)]
pub struct SpeechOptions {
    /// By the name of the condition; what is absent is left to the model.
    pub manner: BTreeMap<&'static str, Vec<f32>>,
    pub sampling: SamplingOptions,
    /// As many as there is room for if absent.
    pub max_new_tokens: Option<usize>,
    /// Frames after which the first sound is made; 0: all.
    pub first_block: usize,
    /// A recording that is to be gone on with.
    pub prefix: Option<SpeechPrefix>,
    pub seed: u64,
}

/// A recording that is to be gone on with.
#[derive(Clone, Debug)]
pub enum SpeechPrefix {
    /// As it came.
    Encoded(Vec<u8>),
    /// That the server keeps.
    Kept(ReferenceVoice),
}

/// The knobs of this family: `options` of a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Knobs {
    emotion: ConditionInput<Vec<f32>>,
    fmax: ConditionInput<f32>,
    pitch_std: ConditionInput<f32>,
    speaking_rate: ConditionInput<f32>,
    language_id: ConditionInput<f32>,
    vqscore_8: ConditionInput<OneOrMany>,
    ctc_loss: ConditionInput<f32>,
    dnsmos_ovrl: ConditionInput<f32>,
    speaker_noised: ConditionInput<bool>,
    cfg_scale: Option<f32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<usize>,
    min_p: Option<f32>,
    linear: Option<f32>,
    confidence: Option<f32>,
    quadratic: Option<f32>,
    repetition_penalty: Option<f32>,
    repetition_window: Option<usize>,
    max_new_tokens: Option<usize>,
    first_block: Option<usize>,
    audio_prefix: Option<PrefixInput>,
}

/// A condition, as it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
enum ConditionInput<T> {
    /// As usual.
    #[default]
    Usual,
    /// `null`: left to the model.
    Unconditional,
    Given(T),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(f32),
    Many(Vec<f32>),
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "audio_prefix should be base64 of a recording, or {\"id\": …} with one of /v1/audio/voices"
)]
enum PrefixInput {
    Base64(String),
    Kept(KeptPrefix),
}

/// Whoever reads the request looks for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptPrefix {
    id: String,
}

/// What there is to know of a model's conditions.
pub trait Conditionable {
    /// What a condition takes; `None`: the model does not hear of it.
    fn range(&self, condition: &str) -> Option<ConditionRange>;
}

// === impl ConditionInput ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ConditionInput<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Unconditional, Self::Given))
    }
}

impl<T> ConditionInput<T> {
    fn map<U>(self, to: impl FnOnce(T) -> U) -> ConditionInput<U> {
        match self {
            Self::Usual => ConditionInput::Usual,
            Self::Unconditional => ConditionInput::Unconditional,
            Self::Given(value) => ConditionInput::Given(to(value)),
        }
    }
}

// === impl SpeechOptions ===

impl SpeechOptions {
    pub fn new(
        asked: &SynthesizeOptions,
        language: Language,
        model: &impl Conditionable,
    ) -> Result<Self, RequestError> {
        let knobs: Knobs = serde_json::from_value(Value::Object(asked.options.clone()))
            .map_err(|error| invalid(format!("options: {error}")))?;
        let sampling = sampling(&knobs, asked.temperature)?;
        let first_block = counted("first_block", knobs.first_block, 0..=MOST_FRAMES)?.unwrap_or(FIRST_BLOCK);
        let max_new_tokens = counted("max_new_tokens", knobs.max_new_tokens, 1..=MOST_FRAMES)?;
        let prefix = knobs.audio_prefix.as_ref().map(|prefix| prefix.find(asked.prefix.as_ref())).transpose()?;
        let seed = asked.seed.unwrap_or_else(by_chance);
        let manner = manner(knobs, asked.speed.unwrap_or(1.0), language, model)?;
        Ok(Self { manner, sampling, max_new_tokens, first_block, prefix, seed })
    }

    /// Frames that may be made after so many that were there before.
    pub fn new_frames(&self, before: usize) -> usize {
        self.max_new_tokens.unwrap_or(USUAL_FRAMES.saturating_sub(before).max(LEAST_ROOM))
    }
}

// === impl PrefixInput ===

impl PrefixInput {
    /// `kept`: what the name means, if it means something.
    fn find(&self, kept: Option<&ReferenceVoice>) -> Result<SpeechPrefix, RequestError> {
        match self {
            Self::Base64(text) => {
                let bytes = BASE64_STANDARD.decode(text);
                let bytes = bytes.map_err(|error| invalid(format!("audio_prefix is no base64: {error}")))?;
                Ok(SpeechPrefix::Encoded(bytes))
            }
            Self::Kept(KeptPrefix { id }) => {
                let kept = kept.ok_or_else(|| invalid(format!("audio_prefix: the recording {id:?} is not here")))?;
                Ok(SpeechPrefix::Kept(kept.clone()))
            }
        }
    }
}

fn manner(
    knobs: Knobs,
    pace: f32,
    language: Language,
    model: &impl Conditionable,
) -> Result<BTreeMap<&'static str, Vec<f32>>, RequestError> {
    let one = |number: f32| vec![number];
    let many = |scores: OneOrMany| match scores {
        OneOrMany::One(score) => vec![score; 8],
        OneOrMany::Many(scores) => scores,
    };
    let rate = match knobs.speaking_rate {
        ConditionInput::Usual => ConditionInput::Given(SPEAKING_RATE * pace),
        rate => rate.map(|rate| rate * pace),
    };
    let asked = [
        ("emotion", knobs.emotion, Some(HAPPY_AND_NEUTRAL.to_vec())),
        ("fmax", knobs.fmax.map(one), Some(vec![FMAX])),
        ("pitch_std", knobs.pitch_std.map(one), Some(vec![PITCH_STD])),
        ("speaking_rate", rate.map(one), None),
        ("language_id", knobs.language_id.map(one), Some(vec![language.id as f32])),
        ("vqscore_8", knobs.vqscore_8.map(many), None),
        ("ctc_loss", knobs.ctc_loss.map(one), Some(vec![CTC_LOSS])),
        ("dnsmos_ovrl", knobs.dnsmos_ovrl.map(one), None),
        ("speaker_noised", knobs.speaker_noised.map(|noised| vec![f32::from(u8::from(noised))]), Some(vec![0.0])),
    ];
    let mut manner = BTreeMap::new();
    for (name, asked, usual) in asked {
        let range = model.range(name);
        let (numbers, range) = match (asked, range) {
            (ConditionInput::Unconditional, _) | (ConditionInput::Usual, None) => continue,
            // The pace of all texts, which is nothing that was asked for.
            (ConditionInput::Given(_), None) if name == "speaking_rate" => continue,
            (ConditionInput::Given(_), None) => {
                let message = format!("this model does not hear of {name}; leave it out, or ask a hybrid");
                return Err(RequestError::Unsupported { param: "options", message });
            }
            (ConditionInput::Usual, Some(range)) => match usual {
                Some(usual) => (usual, range),
                None => continue,
            },
            (ConditionInput::Given(numbers), Some(range)) => (numbers, range),
        };
        check(name, &numbers, &range)?;
        manner.insert(name, if name == "emotion" { shares(&numbers)? } else { numbers });
    }
    Ok(manner)
}

fn check(name: &str, numbers: &[f32], range: &ConditionRange) -> Result<(), RequestError> {
    if numbers.len() != range.size {
        let expected = if range.size == 1 { "a number".to_owned() } else { format!("{} numbers", range.size) };
        return Err(invalid(format!("{name} has {} numbers; {expected} would be right", numbers.len())));
    }
    let within = |number: &&f32| range.values.as_ref().is_none_or(|values| values.contains(number));
    match numbers.iter().find(|number| !within(number) || !number.is_finite()) {
        None => Ok(()),
        Some(wrong) => {
            let (low, high) = range.values.as_ref().map_or((f32::MIN, f32::MAX), |all| (*all.start(), *all.end()));
            Err(invalid(format!("{name} is {wrong}; {low} to {high} would be right")))
        }
    }
}

/// Emotions count by their ratio.
fn shares(emotion: &[f32]) -> Result<Vec<f32>, RequestError> {
    let all: f32 = emotion.iter().sum();
    match all > 0.0 {
        true => Ok(emotion.iter().map(|share| share / all).collect()),
        false => Err(invalid("emotion is 0 everywhere; a number above 0 would be right, or null".to_owned())),
    }
}

fn sampling(knobs: &Knobs, temperature: Option<f32>) -> Result<SamplingOptions, RequestError> {
    let usual = SamplingOptions::default();
    let sampling = SamplingOptions {
        temperature: knobs.temperature.or(temperature).unwrap_or(usual.temperature),
        top_p: knobs.top_p.unwrap_or(usual.top_p),
        top_k: knobs.top_k.unwrap_or(usual.top_k),
        min_p: knobs.min_p.unwrap_or(usual.min_p),
        linear: knobs.linear.unwrap_or(usual.linear),
        confidence: knobs.confidence.unwrap_or(usual.confidence),
        quadratic: knobs.quadratic.unwrap_or(usual.quadratic),
        repetition_penalty: knobs.repetition_penalty.unwrap_or(usual.repetition_penalty),
        repetition_window: knobs.repetition_window.unwrap_or(usual.repetition_window),
        cfg_scale: knobs.cfg_scale.unwrap_or(usual.cfg_scale),
    };
    match sampling.fault() {
        None => Ok(sampling),
        Some((option, value, expected)) => Err(invalid(format!("{option} is {value}; {expected} would be right"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_options_is_what_is_read() {
        crate::families::fixtures::assert_told::<Knobs>(KNOBS, &[]);
    }
}
