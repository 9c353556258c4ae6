//! `config.json`: what is known of a model.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::repository::{CONFIG, VOCABULARY};
use crate::model::LoadError;

/// Symbols around those of a text.
pub const BEGIN: &str = "^";
pub const END: &str = "$";
pub const SPACE: &str = " ";
/// Where no mark stands, in the streams.
pub const NO_MARK: &str = "_";
/// What stands between all symbols of a model that has blanks: whatever has this number.
pub const BLANK: i64 = 0;

/// Hertz of the published models, which do not say it.
const USUAL_RATE: u32 = 22_050;
/// What no voice comes near.
const RATES: std::ops::RangeInclusive<u32> = 4000..=192_000;
const MOST_SPEAKERS: u32 = 1 << 16;
const MOST_SYMBOLS: i64 = 1 << 16;
const NOISES: std::ops::RangeInclusive<f32> = 0.0..=10.0;
const FACTORS: std::ops::RangeInclusive<f32> = 0.01..=100.0;
/// After a sound, where in its word it stands: at the beginning, inside, at the end, alone.
const POSITIONS: [&str; 4] = ["_B", "_I", "_E", "_S"];

#[derive(Clone, Debug, Deserialize)]
pub struct VoiceConfig {
    #[serde(default)]
    audio: Option<AudioConfig>,
    phoneme_id_map: BTreeMap<String, Ids>,
    #[serde(default)]
    pub model_type: ModelType,
    #[serde(default)]
    no_blank: Flag,
    #[serde(default)]
    pub inference: Inference,
    #[serde(default)]
    pub num_speakers: Option<u32>,
    #[serde(default)]
    speaker_id_map: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, Deserialize)]
struct AudioConfig {
    /// Hertz.
    sample_rate: Option<u32>,
}

/// The numbers of a symbol.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Ids {
    One(i64),
    Several(Vec<i64>),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Flag {
    Number(i64),
    Bool(bool),
}

/// How symbols are told to the network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ModelType {
    /// In one row.
    #[default]
    #[serde(rename = "none", alias = "")]
    Plain,
    /// In five: the sound, the mark that stands there, whether it is quoted, the next mark, and the one that ends the sentence.
    #[serde(rename = "multistream_v1")]
    Streams,
    /// The same, of sounds that say where in their word they stand.
    #[serde(rename = "multistream_v2")]
    PlacedStreams,
    #[serde(untagged)]
    Other(String),
}

/// How it speaks where nobody says.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub struct Inference {
    pub noise_level: f32,
    pub speech_rate: f32,
    pub duration_noise_level: f32,
    /// Of the samples.
    pub scale: f32,
}

/// What the symbols of a text are made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Blanks,
    NoBlanks,
    Streams { placed: bool },
}

// === impl Inference ===

impl Default for Inference {
    /// As in PyPI's `vosk-tts`.
    fn default() -> Self {
        Self { noise_level: 0.8, speech_rate: 1.0, duration_noise_level: 0.8, scale: 1.0 }
    }
}

// === impl Flag ===

impl Default for Flag {
    fn default() -> Self {
        Self::Bool(false)
    }
}

impl Flag {
    fn is_set(self) -> bool {
        match self {
            Self::Number(number) => number != 0,
            Self::Bool(set) => set,
        }
    }
}

// === impl Ids ===

impl Ids {
    fn as_slice(&self) -> &[i64] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Several(ids) => ids,
        }
    }
}

// === impl VoiceConfig ===

impl VoiceConfig {
    /// Whether a `config.json` is of this kind.
    pub fn is_in(config: &Value) -> bool {
        let inference = &config["inference"];
        let named = ["noise_level", "speech_rate", "duration_noise_level"].iter().any(|it| !inference[it].is_null());
        let streams = config["model_type"].as_str().is_some_and(|kind| kind.starts_with("multistream"));
        config["phoneme_id_map"].is_object() && (named || streams || !config["no_blank"].is_null())
    }

    pub fn check(&self) -> Result<(), LoadError> {
        self.fault().map_or(Ok(()), |reason| Err(LoadError::Malformed { file: CONFIG.to_owned(), reason }))
    }

    fn fault(&self) -> Option<String> {
        let rate = self.sample_rate();
        if !RATES.contains(&rate) {
            return Some(format!("sample_rate is {rate}; {} to {} would be right", RATES.start(), RATES.end()));
        }
        if let ModelType::Other(kind) = &self.model_type {
            return Some(format!("model_type is {kind:?}; none, multistream_v1 or multistream_v2 would be right"));
        }
        let streams = self.model_type != ModelType::Plain;
        let needed = [BEGIN, END, SPACE].into_iter().chain(streams.then_some(NO_MARK));
        if let Some(symbol) = needed.into_iter().find(|symbol| !self.phoneme_id_map.contains_key(*symbol)) {
            return Some(format!("phoneme_id_map has no {symbol:?}"));
        }
        for (symbol, ids) in &self.phoneme_id_map {
            let ids = ids.as_slice();
            if let Some(id) = ids.iter().find(|id| !(0..MOST_SYMBOLS).contains(*id)) {
                return Some(format!(
                    "phoneme_id_map gives {symbol:?} the number {id}; 0 to {MOST_SYMBOLS} would be right"
                ));
            }
            if ids.is_empty() || (ids.len() > 1 && streams) || ids.len() > 16 {
                return Some(format!("phoneme_id_map gives {symbol:?} {} numbers; one would be right", ids.len()));
            }
        }
        let speakers = self.num_speakers.unwrap_or(1);
        if !(1..=MOST_SPEAKERS).contains(&speakers) {
            return Some(format!("num_speakers is {speakers}; 1 to {MOST_SPEAKERS} would be right"));
        }
        let ids = 0..i64::from(speakers);
        if let Some((name, id)) = self.speaker_id_map.iter().find(|(_, id)| !ids.contains(*id)) {
            return Some(format!("the speaker {name:?} has the number {id}, and there are {speakers} speakers"));
        }
        let Inference { noise_level, speech_rate, duration_noise_level, scale } = self.inference;
        let numbers = [
            ("noise_level", noise_level, NOISES),
            ("duration_noise_level", duration_noise_level, NOISES),
            ("speech_rate", speech_rate, FACTORS),
            ("scale", scale, FACTORS),
        ];
        let mut wrong = numbers.into_iter().filter(|(_, number, range)| !range.contains(number));
        wrong.next().map(|(name, number, range)| {
            format!("{name} is {number}; {} to {} would be right", range.start(), range.end())
        })
    }

    /// That streams of symbols, which were trained beside a BERT, have one.
    pub fn check_bert(&self, has_bert: bool) -> Result<(), LoadError> {
        match has_bert || self.model_type == ModelType::Plain {
            true => Ok(()),
            false => Err(LoadError::Missing(VOCABULARY.to_owned())),
        }
    }

    /// Blanks may only be left out where there is a BERT.
    pub fn form(&self, has_bert: bool) -> Form {
        match self.model_type {
            ModelType::Streams => Form::Streams { placed: false },
            ModelType::PlacedStreams => Form::Streams { placed: true },
            _ if has_bert && self.no_blank.is_set() => Form::NoBlanks,
            _ => Form::Blanks,
        }
    }

    pub fn sample_rate(&self) -> u32 {
        self.audio.as_ref().and_then(|audio| audio.sample_rate).unwrap_or(USUAL_RATE)
    }

    /// The numbers of a symbol, of which there is at least one; `None`: it is not known.
    pub fn ids(&self, symbol: &str) -> Option<&[i64]> {
        self.phoneme_id_map.get(symbol).map(Ids::as_slice)
    }

    /// Whether a sound of the dictionary has a number, wherever in its word it stands.
    pub fn knows(&self, phone: &str) -> bool {
        let placed =
            || POSITIONS.iter().any(|position| self.phoneme_id_map.contains_key(&format!("{phone}{position}")));
        match self.model_type {
            ModelType::PlacedStreams => placed(),
            _ => self.phoneme_id_map.contains_key(phone),
        }
    }

    /// The speakers and their numbers, those that have names by name.
    pub fn speakers(&self) -> Vec<(String, i64)> {
        let name = |id: i64| {
            let named = self.speaker_id_map.iter().find(|(_, known)| **known == id);
            named.map_or_else(|| id.to_string(), |(name, _)| name.clone())
        };
        (0..i64::from(self.num_speakers.unwrap_or(1))).map(|id| (name(id), id)).collect()
    }
}

/// Sounds of a word, each with where it stands.
pub fn placed(phones: &[String]) -> Vec<String> {
    let last = phones.len().saturating_sub(1);
    let position = |at: usize| match at {
        0 if last == 0 => "_S",
        0 => "_B",
        at if at == last => "_E",
        _ => "_I",
    };
    phones.iter().enumerate().map(|(at, phone)| format!("{phone}{}", position(at))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> Value {
        let mut config = json!({
            "phoneme_id_map": {"_": 0, "^": 1, "$": 2, " ": 3, "a0": 4},
            "inference": {"noise_level": 0.5},
            "num_speakers": 3,
        });
        change(&mut config);
        config
    }

    fn checked(config: Value) -> Result<VoiceConfig, String> {
        let config: VoiceConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string()).map(|()| config)
    }

    #[test]
    fn what_is_not_said_is_as_in_the_reference() {
        let plain = checked(config(|_| {})).unwrap();
        assert_eq!((plain.inference.noise_level, plain.inference.duration_noise_level), (0.5, 0.8));
        assert_eq!((plain.sample_rate(), plain.form(true)), (22_050, Form::Blanks));
        let names = |config: &VoiceConfig| config.speakers().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&plain), ["0", "1", "2"]);
        let named = checked(config(|c| c["speaker_id_map"] = json!({"vera": 1}))).unwrap();
        assert_eq!(names(&named), ["0", "vera", "2"]);
        let form = |change: fn(&mut Value), bert| checked(config(change)).unwrap().form(bert);
        assert_eq!(form(|c| c["no_blank"] = json!(1), true), Form::NoBlanks);
        assert_eq!(form(|c| c["no_blank"] = json!(true), false), Form::Blanks, "without BERT there are blanks");
        assert_eq!(form(|c| c["model_type"] = json!("multistream_v1"), true), Form::Streams { placed: false });
        assert_eq!(form(|c| c["model_type"] = json!("multistream_v2"), true), Form::Streams { placed: true });
        assert!(VoiceConfig::is_in(&config(|_| {})));
        let piper = json!({"phoneme_id_map": {}, "inference": {"noise_scale": 1}, "audio": {"sample_rate": 16000}});
        assert!(!VoiceConfig::is_in(&piper) && !VoiceConfig::is_in(&json!({"model_type": "multistream_v1"})));
    }

    #[test]
    fn sounds_say_where_they_stand() {
        let of = |phones: &[&str]| placed(&phones.iter().map(|&phone| phone.to_owned()).collect::<Vec<_>>()).join(" ");
        assert_eq!(
            (of(&["a"]), of(&["a", "b"]), of(&["a", "b", "c"])),
            ("a_S".into(), "a_B b_E".into(), "a_B b_I c_E".into())
        );
        let known = checked(config(|c| {
            c["model_type"] = json!("multistream_v2");
            c["phoneme_id_map"]["b_I"] = json!(5);
        }));
        let known = known.unwrap();
        assert!(known.knows("b") && !known.knows("a0"));
    }

    #[test]
    fn what_cannot_be_is_named() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 12] = [
            (|c| drop(c.as_object_mut().unwrap().remove("phoneme_id_map")), "missing field `phoneme_id_map`"),
            (|c| c["phoneme_id_map"] = json!({"^": 1, "$": 2}), "phoneme_id_map has no \" \""),
            (|c| c["phoneme_id_map"]["a0"] = json!(-1), "gives \"a0\" the number -1"),
            (|c| c["phoneme_id_map"]["a0"] = json!([]), "gives \"a0\" 0 numbers"),
            (|c| c["phoneme_id_map"]["a0"] = json!(1e300), "did not match any variant"),
            (|c| c["model_type"] = json!("multistream_v9"), "none, multistream_v1 or multistream_v2 would be right"),
            (|c| c["num_speakers"] = json!(0), "num_speakers is 0"),
            (|c| c["num_speakers"] = json!(70_000), "num_speakers is 70000"),
            (|c| c["speaker_id_map"] = json!({"vera": 3}), "the speaker \"vera\" has the number 3"),
            (|c| c["audio"] = json!({"sample_rate": 1}), "sample_rate is 1; 4000 to 192000 would be right"),
            (|c| c["inference"]["speech_rate"] = json!(0), "speech_rate is 0; 0.01 to 100 would be right"),
            (|c| c["inference"]["noise_level"] = json!(-1), "noise_level is -1"),
        ];
        for (change, said) in cases {
            let error = checked(config(change)).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
        let streams = |c: &mut Value| c["model_type"] = json!("multistream_v1");
        let several = checked(config(|c| {
            streams(c);
            c["phoneme_id_map"]["a0"] = json!([4, 5]);
        }));
        assert!(several.unwrap_err().contains("gives \"a0\" 2 numbers; one would be right"));
        let markless = checked(config(|c| {
            streams(c);
            drop(c["phoneme_id_map"].as_object_mut().unwrap().remove("_"));
        }));
        assert!(markless.unwrap_err().contains("has no \"_\""));
        let bertless = checked(config(streams)).unwrap().check_bert(false).unwrap_err().to_string();
        assert_eq!(bertless, "the file bert/vocab.txt is missing");
    }
}
