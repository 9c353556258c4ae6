//! `config.json` of either stage: what no tensor tells of a Llama.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    model::{LoadError, ModelFiles},
    nn::llama::LlamaConfig,
};

/// The name of the file.
pub const FILE: &str = "config.json";
/// What generation is usually asked for, where a repository says it.
pub const GENERATION: &str = "generation_config.json";

/// Tokens of the published models, text and sound together: no other Llama has as many.
const VOCABULARY: std::ops::RangeInclusive<u64> = 83_734..=83_968;
/// What no stage comes near.
const MOST_HEADS: usize = 1 << 12;
const MOST_HEAD: usize = 1 << 12;
const MOST_POSITIONS: usize = 1 << 20;

/// What is said of a stage.
#[derive(Clone, Copy, Debug)]
pub struct StageConfig {
    pub llama: LlamaConfig,
    /// Of a sequence, at most.
    pub positions: usize,
}

#[derive(Deserialize)]
struct Said {
    num_hidden_layers: Option<usize>,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "usual_epsilon")]
    rms_norm_eps: f32,
    /// As written up to transformers 4, and from 5 on.
    rope_theta: Option<f32>,
    rope_scaling: Option<Rope>,
    rope_parameters: Option<Rope>,
    #[serde(default = "usual_positions")]
    max_position_embeddings: usize,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct Rope {
    #[serde(default, alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f32>,
}

#[derive(Debug, Default, Deserialize)]
struct Generation {
    top_k: Option<usize>,
}

fn usual_epsilon() -> f32 {
    1e-6
}

/// Of which the reference's script makes use.
fn usual_positions() -> usize {
    16_384
}

/// Whether a `config.json` is of a first stage.
pub fn is_in(config: &Value) -> bool {
    config["model_type"] == "llama" && config["vocab_size"].as_u64().is_some_and(|size| VOCABULARY.contains(&size))
}

/// How many of the likeliest tokens are drawn from where a request does not say it, if the model does.
pub fn usual_top_k(files: &ModelFiles, part: &str) -> Result<Option<usize>, LoadError> {
    let said: Option<Generation> = files.optional_json(part, GENERATION)?;
    Ok(said.and_then(|said| said.top_k))
}

// === impl StageConfig ===

impl StageConfig {
    pub fn read(files: &ModelFiles, part: &str) -> Result<Self, LoadError> {
        Self::from_json(files.json(part, FILE)?)
    }

    pub fn from_json(config: Value) -> Result<Self, LoadError> {
        let read = serde_json::from_value(config).map_err(|error| error.to_string()).and_then(Said::checked);
        read.map_err(|reason| LoadError::Malformed { file: FILE.to_owned(), reason })
    }
}

// === impl Said ===

impl Said {
    fn checked(self) -> Result<StageConfig, String> {
        let heads = self.num_attention_heads;
        let shared = self.num_key_value_heads.unwrap_or(heads);
        if !(1..=MOST_HEADS).contains(&heads) || shared == 0 || !heads.is_multiple_of(shared) {
            let found = format!("num_attention_heads is {heads} and num_key_value_heads {shared}");
            return Err(format!("{found}; a multiple, at most {MOST_HEADS}, would be right"));
        }
        if self.head_dim.is_some_and(|size| !(2..=MOST_HEAD).contains(&size) || !size.is_multiple_of(2)) {
            let size = self.head_dim.unwrap_or_default();
            return Err(format!("head_dim is {size}; an even number up to {MOST_HEAD} would be right"));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            return Err(format!("rms_norm_eps is {}; a small number above 0 would be right", self.rms_norm_eps));
        }
        if !(1..=MOST_POSITIONS).contains(&self.max_position_embeddings) {
            let found = self.max_position_embeddings;
            return Err(format!("max_position_embeddings is {found}; 1 to {MOST_POSITIONS} would be right"));
        }
        if self.attention_bias || self.mlp_bias || self.tie_word_embeddings {
            return Err("attention_bias, mlp_bias or tie_word_embeddings is true; false would be right".to_owned());
        }
        let theta = self.theta()?;
        let llama = LlamaConfig {
            layers: self.num_hidden_layers,
            heads,
            shared,
            head_dim: self.head_dim,
            epsilon: self.rms_norm_eps,
            theta,
            long: None,
        };
        Ok(StageConfig { llama, positions: self.max_position_embeddings })
    }

    fn theta(&self) -> Result<f32, String> {
        let rope = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref());
        let kind = rope.and_then(|rope| rope.rope_type.as_deref()).unwrap_or("default");
        if kind != "default" {
            return Err(format!("rope_type is {kind:?}; \"default\" would be right"));
        }
        let theta = rope.and_then(|rope| rope.rope_theta).or(self.rope_theta).unwrap_or(10_000.0);
        match theta.is_finite() && theta > 0.0 {
            true => Ok(theta),
            false => Err(format!("rope_theta is {theta}; a number above 0 would be right")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn published() -> Value {
        json!({
            "model_type": "llama", "vocab_size": 83_968, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "rope_theta": 1e5, "rope_scaling": null,
            "max_position_embeddings": 16_384, "tie_word_embeddings": false,
        })
    }

    #[test]
    fn either_way_to_write_it_is_read() {
        let old = StageConfig::from_json(published()).unwrap();
        assert_eq!((old.llama.heads, old.llama.shared, old.llama.theta, old.positions), (32, 4, 1e5, 16_384));
        let mut new = published();
        new["rope_theta"] = Value::Null;
        new["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 2e5});
        assert_eq!(StageConfig::from_json(new).unwrap().llama.theta, 2e5);
        assert!(is_in(&published()));
        assert!(!is_in(&json!({"model_type": "llama", "vocab_size": 32_000})));
        assert!(!is_in(&json!({"model_type": "mistral", "vocab_size": 83_968})));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (key, value, told) in [
            ("num_attention_heads", json!(0), "num_attention_heads is 0"),
            ("num_key_value_heads", json!(5), "num_key_value_heads 5; a multiple"),
            ("head_dim", json!(7), "head_dim is 7; an even number"),
            ("rms_norm_eps", json!(0), "rms_norm_eps is 0"),
            ("max_position_embeddings", json!(0), "max_position_embeddings is 0"),
            ("tie_word_embeddings", json!(true), "tie_word_embeddings is true; false would be right"),
            ("rope_scaling", json!({"type": "linear", "factor": 2}), "rope_type is \"linear\""),
            ("rope_theta", json!(-1), "rope_theta is -1; a number above 0"),
        ] {
            let mut config = published();
            config[key] = value;
            let error = StageConfig::from_json(config).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains(FILE), "{error}");
        }
    }
}
