//! What can be said of speech and of a conversion, beside what is worked on and whose voice it is.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    http::problem::Problem,
    service::SpeakRequest,
    speech::{ConvertOptions, SynthesizeOptions, VoiceInput},
    text::Markup,
};

/// How fast somebody can be asked to speak.
const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// How a text is to be spoken.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(in crate::http) struct SpeakFields {
    /// Of the text, as an ISO 639-1 code; English if absent.
    pub language: Option<String>,
    /// 0.25 to 4.
    #[schema(minimum = 0.25, maximum = 4.0)]
    pub speed: Option<f32>,
    /// How to say it, in words. Where a model does not follow it the answer says so.
    pub instructions: Option<String>,
    /// Equal seeds speak alike.
    pub seed: Option<u64>,
    /// Hertz, 8000 to 48000; the model's own if absent.
    pub sample_rate: Option<u32>,
    #[serde(default)]
    pub input_type: InputType,
    /// Whether numbers, dates, abbreviations and Markdown are read as people read them; `true` if absent.
    pub normalize: Option<bool>,
    /// Whether the sound is brought to the loudness of EBU R128; as configured if absent.
    pub normalize_loudness: Option<bool>,
    /// Which sounds of a model that makes several: `["mix", "vocals"]`, or one by its name. The first of them is the answer's
    /// `audio`, and the others are its `stems`.
    #[serde(default)]
    #[schema(inline)]
    pub stems: Stems,
    /// Knobs of the model's family.
    pub options: Option<Map<String, Value>>,
}

/// Names of sounds; none: the model's first.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(from = "OneOrMany")]
#[schema(value_type = OneOrMany)]
pub(in crate::http) struct Stems(pub Vec<String>);

/// A name, or a list of them. In a query, names between commas.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "stems should be a name or a list of names")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// How a recording is to be converted.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(in crate::http) struct ConvertFields {
    /// Equal seeds convert alike.
    pub seed: Option<u64>,
    /// Of the answer, in hertz, 8000 to 48000; the model's own if absent.
    pub sample_rate: Option<u32>,
    /// Knobs of the model's family.
    pub options: Option<Map<String, Value>>,
}

/// What the text is written in.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum InputType {
    /// Plain text or Markdown, with pauses such as `[pause:0.5s]`.
    #[default]
    Text,
    Ssml,
}

// === impl SpeakFields ===

impl SpeakFields {
    pub fn checked(self) -> Result<Self, Problem> {
        match self.speed {
            Some(speed) if !SPEEDS.contains(&speed) => {
                Err(Problem::invalid("speed", format!("speed is {speed}; 0.25 to 4 would be right")))
            }
            _ => Ok(self),
        }
    }

    pub fn request(self, text: String, voice: Option<VoiceInput>) -> SpeakRequest {
        let options = SynthesizeOptions {
            voice,
            language: self.language,
            speed: self.speed,
            instructions: self.instructions,
            temperature: None,
            seed: self.seed,
            stems: self.stems.0,
            options: self.options.unwrap_or_default(),
            prefix: None,
        };
        let markup = match self.input_type {
            InputType::Text => Markup::Plain,
            InputType::Ssml => Markup::Ssml,
        };
        let (normalize, normalize_loudness) = (self.normalize.unwrap_or(true), self.normalize_loudness);
        SpeakRequest { text, markup, normalize, normalize_loudness, options }
    }
}

// === impl Stems ===

impl From<OneOrMany> for Stems {
    fn from(stems: OneOrMany) -> Self {
        Self(match stems {
            OneOrMany::One(names) => names.split(',').map(|name| name.trim().to_owned()).collect(),
            OneOrMany::Many(names) => names,
        })
    }
}

// === impl ConvertFields ===

impl ConvertFields {
    pub fn options(self, voice: Option<VoiceInput>) -> ConvertOptions {
        ConvertOptions { voice, seed: self.seed, options: self.options.unwrap_or_default() }
    }
}
