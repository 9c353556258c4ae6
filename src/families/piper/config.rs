//! `*.onnx.json`, as Piper publishes it beside the network.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::LoadError;

/// Symbols that stand around those of a text.
pub const BEGIN: &str = "^";
pub const END: &str = "$";
pub const PAD: &str = "_";
/// What no voice comes near.
const RATES: std::ops::RangeInclusive<u32> = 4000..=192_000;
const MOST_SPEAKERS: u32 = 1 << 16;
const SCALES: std::ops::RangeInclusive<f32> = 0.0..=10.0;

#[derive(Clone, Debug, Deserialize)]
pub struct VoiceConfig {
    pub audio: AudioConfig,
    pub espeak: EspeakConfig,
    #[serde(default)]
    pub phoneme_type: PhonemeType,
    pub phoneme_id_map: BTreeMap<String, Vec<i64>>,
    #[serde(default)]
    pub inference: Scales,
    pub num_symbols: i64,
    pub num_speakers: u32,
    #[serde(default)]
    pub speaker_id_map: BTreeMap<String, i64>,
    #[serde(default)]
    pub default_speaker_id: i64,
    #[serde(default)]
    pub language: Option<LanguageConfig>,
    /// What it was trained on: in the published ones the name of the speaker.
    pub dataset: Option<String>,
    /// Symbols that are one where they stand together.
    #[serde(default)]
    pub vowel_clusters: Vec<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct AudioConfig {
    /// Hertz.
    pub sample_rate: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub struct EspeakConfig {
    pub voice: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct LanguageConfig {
    /// `en_US`.
    pub code: String,
}

/// What a text is read as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhonemeType {
    /// The sounds that espeak-ng makes of it.
    #[default]
    Espeak,
    /// Its own letters.
    Text,
    #[serde(untagged)]
    Other(String),
}

/// How it speaks where nobody says.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub struct Scales {
    pub noise_scale: f32,
    pub length_scale: f32,
    pub noise_w: f32,
}

// === impl Scales ===

impl Default for Scales {
    /// As in PyPI's `piper-tts`.
    fn default() -> Self {
        Self { noise_scale: 0.667, length_scale: 1.0, noise_w: 0.8 }
    }
}

// === impl VoiceConfig ===

impl VoiceConfig {
    /// Whether a `config.json` is of this kind.
    pub fn is_in(config: &Value) -> bool {
        config["phoneme_id_map"].is_object() && config["audio"]["sample_rate"].is_number()
    }

    /// `file`: what it was read from.
    pub fn check(&self, file: &str) -> Result<(), LoadError> {
        self.fault().map_or(Ok(()), |reason| Err(LoadError::Malformed { file: file.to_owned(), reason }))
    }

    fn fault(&self) -> Option<String> {
        let rate = self.audio.sample_rate;
        if !RATES.contains(&rate) {
            return Some(format!("sample_rate is {rate}; {} to {} would be right", RATES.start(), RATES.end()));
        }
        if let PhonemeType::Other(kind) = &self.phoneme_type {
            return Some(format!(
                "phoneme_type is {kind:?}, which takes a reader of that language that is not here; espeak or text would be right"
            ));
        }
        if let Some(symbol) = [BEGIN, PAD, END].into_iter().find(|symbol| !self.phoneme_id_map.contains_key(*symbol)) {
            return Some(format!("phoneme_id_map has no {symbol:?}"));
        }
        let mut ids = self.phoneme_id_map.iter().flat_map(|(symbol, ids)| ids.iter().map(move |id| (symbol, id)));
        if let Some((symbol, id)) = ids.find(|(_, id)| !(0..self.num_symbols).contains(*id)) {
            return Some(format!(
                "phoneme_id_map gives {symbol:?} the number {id}, and num_symbols is {}",
                self.num_symbols
            ));
        }
        if !(1..=MOST_SPEAKERS).contains(&self.num_speakers) {
            return Some(format!("num_speakers is {}; 1 to {MOST_SPEAKERS} would be right", self.num_speakers));
        }
        let speakers = self.speaker_id_map.iter().map(|(name, id)| (name.as_str(), *id));
        let mut speakers = speakers.chain([("default_speaker_id", self.default_speaker_id)]);
        if let Some((name, id)) = speakers.find(|(_, id)| !(0..i64::from(self.num_speakers)).contains(id)) {
            return Some(format!(
                "the speaker {name:?} has the number {id}, and num_speakers is {}",
                self.num_speakers
            ));
        }
        let Scales { noise_scale, length_scale, noise_w } = self.inference;
        let scales = [("noise_scale", noise_scale), ("length_scale", length_scale), ("noise_w", noise_w)];
        let mut wrong = scales.into_iter().filter(|(_, scale)| !SCALES.contains(scale));
        wrong
            .next()
            .map(|(name, scale)| format!("{name} is {scale}; {} to {} would be right", SCALES.start(), SCALES.end()))
    }

    /// The speakers and their numbers, the usual one first: those that have names; else, of several, by number, and one alone
    /// by what it was trained on.
    pub fn speakers(&self) -> Vec<(String, i64)> {
        let mut speakers: Vec<(String, i64)> = match (self.num_speakers, &self.dataset) {
            (1, Some(dataset)) if !dataset.is_empty() => vec![(dataset.clone(), 0)],
            (1, _) => vec![("default".to_owned(), 0)],
            _ if !self.speaker_id_map.is_empty() => {
                self.speaker_id_map.iter().map(|(name, id)| (name.clone(), *id)).collect()
            }
            (many, _) => (0..i64::from(many)).map(|id| (id.to_string(), id)).collect(),
        };
        speakers.sort_by_key(|(_, id)| (*id != self.default_speaker_id, *id));
        speakers
    }

    /// A BCP 47 tag.
    pub fn language(&self) -> String {
        self.language.as_ref().map_or(&self.espeak.voice, |language| &language.code).replace('_', "-")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> Value {
        let mut config = json!({
            "audio": {"sample_rate": 22050},
            "espeak": {"voice": "en-us"},
            "phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [3]},
            "num_symbols": 4,
            "num_speakers": 3,
            "speaker_id_map": {"zoe": 0, "amy": 1, "bob": 2},
        });
        change(&mut config);
        config
    }

    fn checked(config: Value) -> Result<VoiceConfig, String> {
        let config: VoiceConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
        config.check("voice.onnx.json").map_err(|error| error.to_string()).map(|()| config)
    }

    #[test]
    fn what_is_not_said_is_as_in_the_reference() {
        let plain = checked(config(|_| {})).unwrap();
        assert_eq!((plain.phoneme_type.clone(), plain.inference.noise_w), (PhonemeType::Espeak, 0.8));
        let names = |config: &VoiceConfig| config.speakers().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!((names(&plain).join(" "), plain.language()), ("zoe amy bob".to_owned(), "en-us".to_owned()));
        let other = checked(config(|c| {
            c["default_speaker_id"] = json!(2);
            c["language"] = json!({"code": "en_GB"});
        }))
        .unwrap();
        assert_eq!((names(&other).join(" "), other.language()), ("bob zoe amy".to_owned(), "en-GB".to_owned()));
        let nameless = checked(config(|c| c["speaker_id_map"] = json!({}))).unwrap();
        assert_eq!(names(&nameless), ["0", "1", "2"]);
        let alone = |dataset: Value| {
            names(
                &checked(config(|c| {
                    c["num_speakers"] = json!(1);
                    c["speaker_id_map"] = json!({});
                    c["dataset"] = dataset;
                }))
                .unwrap(),
            )
        };
        assert_eq!((alone(json!("joe")), alone(json!(null))), (vec!["joe".to_owned()], vec!["default".to_owned()]));
        assert!(VoiceConfig::is_in(&config(|_| {})) && !VoiceConfig::is_in(&json!({"model_type": "whisper"})));
    }

    #[test]
    fn what_cannot_be_is_named() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 12] = [
            (|c| drop(c.as_object_mut().unwrap().remove("phoneme_id_map")), "missing field `phoneme_id_map`"),
            (|c| drop(c.as_object_mut().unwrap().remove("audio")), "missing field `audio`"),
            (|c| drop(c.as_object_mut().unwrap().remove("espeak")), "missing field `espeak`"),
            (|c| drop(c.as_object_mut().unwrap().remove("num_speakers")), "missing field `num_speakers`"),
            (|c| c["audio"]["sample_rate"] = json!(0), "sample_rate is 0; 4000 to 192000 would be right"),
            (|c| c["phoneme_type"] = json!("pinyin"), "phoneme_type is \"pinyin\""),
            (|c| drop(c["phoneme_id_map"].as_object_mut().unwrap().remove("$")), "phoneme_id_map has no \"$\""),
            (|c| c["phoneme_id_map"]["a"] = json!([4]), "gives \"a\" the number 4, and num_symbols is 4"),
            (|c| c["num_speakers"] = json!(0), "num_speakers is 0"),
            (|c| c["speaker_id_map"]["bob"] = json!(3), "the speaker \"bob\" has the number 3, and num_speakers is 3"),
            (|c| c["default_speaker_id"] = json!(-1), "the speaker \"default_speaker_id\" has the number -1"),
            (|c| c["inference"] = json!({"noise_w": 1e9}), "noise_w is 1000000000; 0 to 10 would be right"),
        ];
        for (change, said) in cases {
            let error = checked(config(change)).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
