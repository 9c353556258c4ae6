//! `config.json`, in the layout of `transformers` or in Boson's own: what no tensor tells.

use serde::Deserialize;
use serde_json::Value;

use super::net::CodeIds;
use crate::{
    model::{LoadError, ModelFiles},
    nn::LongContext,
};

/// The name of the file.
pub const FILE: &str = "config.json";
/// The kinds of models that it says.
const TRANSFORMERS: &str = "higgs_audio_v2";
const BOSON: &str = "higgs_audio";
/// What no Higgs comes near.
const MOST_HEADS: usize = 1 << 12;
const MOST_HEAD: usize = 1 << 12;
const MOST_BOOKS: usize = 64;
const MOST_CODES: u32 = 1 << 20;

/// What is said of a model, whichever layout says it.
#[derive(Clone, Debug, PartialEq)]
pub struct HiggsConfig {
    pub layers: Option<usize>,
    pub heads: usize,
    /// Of keys and values.
    pub shared: usize,
    head_dim: Option<usize>,
    pub epsilon: f32,
    pub rope: RopeConfig,
    pub codes: CodeIds,
}

/// Rotary positions.
#[derive(Clone, Copy, Debug)]
pub struct RopeConfig {
    pub theta: f32,
    pub long: Option<LongContext>,
}

/// As `transformers` has it.
#[derive(Deserialize)]
struct Transformers {
    num_hidden_layers: Option<usize>,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "usual_epsilon")]
    rms_norm_eps: f32,
    rope_parameters: Option<RopeParameters>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default = "usual_books")]
    num_codebooks: usize,
    codebook_size: u32,
    #[serde(default = "usual_begin")]
    audio_stream_bos_id: u32,
    #[serde(default = "usual_end")]
    audio_stream_eos_id: u32,
}

/// As Boson has it.
#[derive(Deserialize)]
struct Boson {
    text_config: BosonText,
    audio_num_codebooks: usize,
    audio_codebook_size: u32,
    #[serde(default = "usual_begin")]
    audio_stream_bos_id: u32,
    #[serde(default = "usual_end")]
    audio_stream_eos_id: u32,
    /// The layers that have two feed-forward parts.
    audio_dual_ffn_layers: Option<Vec<usize>>,
}

#[derive(Deserialize)]
struct BosonText {
    num_hidden_layers: Option<usize>,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "usual_epsilon")]
    rms_norm_eps: f32,
    rope_theta: Option<f32>,
    rope_scaling: Option<RopeParameters>,
}

/// Of either.
#[derive(Deserialize)]
struct RopeParameters {
    #[serde(default, alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f32>,
    factor: Option<f32>,
    low_freq_factor: Option<f32>,
    high_freq_factor: Option<f32>,
    original_max_position_embeddings: Option<f32>,
}

fn usual_epsilon() -> f32 {
    1e-5
}

fn usual_books() -> usize {
    8
}

fn usual_begin() -> u32 {
    1024
}

fn usual_end() -> u32 {
    1025
}

// === impl HiggsConfig ===

impl HiggsConfig {
    /// Whether a `config.json` is of this kind.
    pub fn is_in(config: &Value) -> bool {
        config["model_type"] == TRANSFORMERS || (config["model_type"] == BOSON && config["text_config"].is_object())
    }

    pub fn read(files: &ModelFiles, part: &str) -> Result<Self, LoadError> {
        Self::from_json(files.json(part, FILE)?)
    }

    pub fn from_json(config: Value) -> Result<Self, LoadError> {
        let boson = config["model_type"] == BOSON;
        let wrong = |reason: String| LoadError::Malformed { file: FILE.to_owned(), reason };
        let read = match boson {
            true => serde_json::from_value(config).map_err(|error| error.to_string()).and_then(Boson::checked),
            false => serde_json::from_value(config).map_err(|error| error.to_string()).and_then(Transformers::checked),
        };
        read.and_then(Self::checked).map_err(wrong)
    }

    /// Numbers of a head of a model so wide.
    pub fn head_dim(&self, width: usize) -> usize {
        self.head_dim.unwrap_or(width / self.heads)
    }

    fn checked(self) -> Result<Self, String> {
        let Self { heads, shared, head_dim, epsilon, codes, .. } = self;
        if !(1..=MOST_HEADS).contains(&heads) || shared == 0 || !heads.is_multiple_of(shared) {
            let found = format!("num_attention_heads is {heads} and num_key_value_heads {shared}");
            return Err(format!("{found}; a multiple, at most {MOST_HEADS}, would be right"));
        }
        if head_dim.is_some_and(|size| !(2..=MOST_HEAD).contains(&size) || !size.is_multiple_of(2)) {
            let size = head_dim.unwrap_or_default();
            return Err(format!("head_dim is {size}; an even number up to {MOST_HEAD} would be right"));
        }
        if !(0.0..1.0).contains(&epsilon) {
            return Err(format!("rms_norm_eps is {epsilon}; a small number above 0 would be right"));
        }
        let CodeIds { books, codes, begin, end } = codes;
        if !(1..=MOST_BOOKS).contains(&books) {
            return Err(format!("there are {books} codebooks; 1 to {MOST_BOOKS} would be right"));
        }
        if !(1..=MOST_CODES).contains(&codes) || begin != codes || end != codes + 1 {
            return Err(format!(
                "a book has {codes} codes, audio_stream_bos_id is {begin} and audio_stream_eos_id {end}; the next two \
                 numbers would be right"
            ));
        }
        Ok(self)
    }
}

// === impl Transformers ===

impl Transformers {
    fn checked(self) -> Result<HiggsConfig, String> {
        if self.attention_bias || self.mlp_bias {
            return Err("attention_bias or mlp_bias is true; false would be right".to_owned());
        }
        let rope = match &self.rope_parameters {
            Some(parameters) => parameters.checked(parameters.rope_theta)?,
            None => RopeConfig::PUBLISHED,
        };
        let (begin, end) = (self.audio_stream_bos_id, self.audio_stream_eos_id);
        // Beginning and end are among those that it counts.
        let codes = self.codebook_size.checked_sub(2).ok_or("codebook_size is below 3")?;
        Ok(HiggsConfig {
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            shared: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            head_dim: self.head_dim,
            epsilon: self.rms_norm_eps,
            rope,
            codes: CodeIds { books: self.num_codebooks, codes, begin, end },
        })
    }
}

// === impl Boson ===

impl Boson {
    fn checked(self) -> Result<HiggsConfig, String> {
        let text = self.text_config;
        let all =
            |layers: &Vec<usize>| text.num_hidden_layers.is_none_or(|count| (0..count).all(|at| layers.contains(&at)));
        if !self.audio_dual_ffn_layers.as_ref().is_none_or(all) {
            return Err("audio_dual_ffn_layers has some layers; all of them would be right".to_owned());
        }
        let theta = text.rope_theta.unwrap_or(RopeConfig::PUBLISHED.theta);
        let rope = match &text.rope_scaling {
            Some(parameters) => parameters.checked(Some(parameters.rope_theta.unwrap_or(theta)))?,
            None => RopeConfig { theta, long: None },
        };
        let (begin, end) = (self.audio_stream_bos_id, self.audio_stream_eos_id);
        Ok(HiggsConfig {
            layers: text.num_hidden_layers,
            heads: text.num_attention_heads,
            shared: text.num_key_value_heads.unwrap_or(text.num_attention_heads),
            head_dim: text.head_dim,
            epsilon: text.rms_norm_eps,
            rope,
            codes: CodeIds { books: self.audio_num_codebooks, codes: self.audio_codebook_size, begin, end },
        })
    }
}

// === impl RopeConfig ===

impl RopeConfig {
    /// What holds where nothing is said.
    const PUBLISHED: Self =
        Self { theta: 5e5, long: Some(LongContext { factor: 32.0, low: 0.125, high: 0.5, trained: 1024.0 }) };
}

impl PartialEq for RopeConfig {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |long: LongContext| [long.factor, long.low, long.high, long.trained];
        self.theta == other.theta && self.long.map(numbers) == other.long.map(numbers)
    }
}

impl RopeParameters {
    fn checked(&self, theta: Option<f32>) -> Result<RopeConfig, String> {
        let theta = theta.unwrap_or(RopeConfig::PUBLISHED.theta);
        let above_zero = |name: &str, value: Option<f32>| match value {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            found => Err(format!("{name} of rope is {found:?}; a number above 0 would be right")),
        };
        above_zero("rope_theta", Some(theta))?;
        match self.rope_type.as_deref() {
            None | Some("default") => Ok(RopeConfig { theta, long: None }),
            Some("llama3") => {
                let (low, high) = (
                    above_zero("low_freq_factor", self.low_freq_factor)?,
                    above_zero("high_freq_factor", self.high_freq_factor)?,
                );
                if high <= low {
                    return Err(format!("high_freq_factor is {high} and low_freq_factor {low}; more would be right"));
                }
                let trained = above_zero("original_max_position_embeddings", self.original_max_position_embeddings)?;
                let long = LongContext { factor: above_zero("factor", self.factor)?, low, high, trained };
                Ok(RopeConfig { theta, long: Some(long) })
            }
            Some(other) => Err(format!("rope_type is {other:?}; \"llama3\" or \"default\" would be right")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transformers() -> Value {
        json!({
            "model_type": "higgs_audio_v2", "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
            "num_codebooks": 4, "codebook_size": 34, "audio_stream_bos_id": 32, "audio_stream_eos_id": 33,
            "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 32.0, "low_freq_factor": 0.125,
                "high_freq_factor": 0.5, "original_max_position_embeddings": 1024},
        })
    }

    fn boson() -> Value {
        json!({
            "model_type": "higgs_audio", "audio_num_codebooks": 4, "audio_codebook_size": 32,
            "audio_stream_bos_id": 32, "audio_stream_eos_id": 33,
            "text_config": {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rope_theta": 5e5,
                "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 0.125, "high_freq_factor": 0.5,
                    "original_max_position_embeddings": 1024}},
        })
    }

    #[test]
    fn both_layouts_say_the_same() {
        let read = |config: Value| HiggsConfig::from_json(config).unwrap();
        assert_eq!(read(transformers()), read(boson()));
        assert!(HiggsConfig::is_in(&transformers()) && HiggsConfig::is_in(&boson()));
        assert!(!HiggsConfig::is_in(&json!({"model_type": "llama", "text_config": {}})));
        let mut unsaid = transformers();
        unsaid.as_object_mut().unwrap().remove("rope_parameters");
        assert_eq!(read(unsaid), read(transformers()));
    }

    #[test]
    fn what_cannot_be_is_named() {
        /// What makes a configuration, what is changed in it, and what is said of that.
        type Case = (fn() -> Value, fn(&mut Value), &'static str);
        let cases: [Case; 9] = [
            (
                transformers,
                |c| c["num_key_value_heads"] = json!(3),
                "num_attention_heads is 4 and num_key_value_heads 3",
            ),
            (transformers, |c| c["head_dim"] = json!(7), "head_dim is 7"),
            (transformers, |c| c["num_codebooks"] = json!(0), "there are 0 codebooks"),
            (transformers, |c| c["codebook_size"] = json!(1024), "a book has 1022 codes, audio_stream_bos_id is 32"),
            (transformers, |c| c["attention_bias"] = json!(true), "attention_bias"),
            (transformers, |c| c["rope_parameters"]["rope_type"] = json!("yarn"), "rope_type is \"yarn\""),
            (transformers, |c| c["rope_parameters"]["factor"] = json!(0), "factor of rope is Some(0.0)"),
            (boson, |c| c["text_config"]["num_hidden_layers"] = json!("3"), "invalid type"),
            (
                boson,
                |c| {
                    c["text_config"]["num_hidden_layers"] = json!(3);
                    c["audio_dual_ffn_layers"] = json!([0, 2]);
                },
                "audio_dual_ffn_layers has some layers",
            ),
        ];
        for (config, change, said) in cases {
            let mut config = config();
            change(&mut config);
            let error = HiggsConfig::from_json(config).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
