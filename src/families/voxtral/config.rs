//! `config.json`: the sizes of a Voxtral.

use serde::Deserialize;
use serde_json::Value;

use super::repository::CONFIG;
use crate::{
    model::LoadError,
    nn::{AudioEncoderConfig, llama::LlamaConfig},
};

/// Windows that one prompt may hold: ten minutes of 30 s each. What is kept of a recording and what is computed over it
/// grow with it, and the memory for the longest is counted before the model is loaded.
const MOST_WINDOWS: usize = 20;
/// Tokens of text for each window, as many as Whisper's decoder holds.
const TOKENS_PER_WINDOW: usize = 448;
/// Tokens of a prompt beside those in whose place the audio stands: its markers and the language.
const MARKERS: usize = 64;
/// Windows of a recording for which there is memory in every place of a batch, beside the longest recording in one of them: a
/// minute.
const USUAL_WINDOWS: usize = 2;

/// The sizes of a network. As in transformers, what the file does not say is as in Voxtral Mini.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub audio_config: Audio,
    pub text_config: Text,
    #[serde(default = "gelu")]
    projector_hidden_act: String,
}

/// Of the encoder.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Audio {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    pub num_mel_bins: usize,
    /// Encoder positions of a window; a window has twice as many mel frames.
    pub max_source_positions: usize,
    activation_function: String,
    scale_embedding: bool,
}

/// Of the Llama.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Text {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f32,
    rope_theta: f32,
    /// Where newer files have the base.
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Value>,
    pub tie_word_embeddings: bool,
    hidden_act: String,
    attention_bias: bool,
    mlp_bias: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Rope {
    rope_theta: Option<f32>,
    rope_type: Option<String>,
}

// === impl Config ===

impl Config {
    /// Reads what [`crate::model::Family::recognises`] recognised.
    pub fn from_json(json: Value) -> Result<Self, LoadError> {
        let config: Self = serde_json::from_value(json).map_err(|error| malformed(error.to_string()))?;
        config.check_sizes()?;
        config.check_kinds()?;
        Ok(config)
    }

    /// Mel frames in a window.
    pub fn frames(&self) -> usize {
        2 * self.audio_config.max_source_positions
    }

    /// Tokens in whose place a window stands.
    pub fn audio_tokens(&self) -> usize {
        let Audio { max_source_positions, hidden_size, intermediate_size, .. } = self.audio_config;
        max_source_positions * hidden_size / intermediate_size
    }

    /// The longest recording, in windows.
    pub fn longest(&self) -> usize {
        let room = self.text_config.max_position_embeddings.saturating_sub(MARKERS);
        MOST_WINDOWS.min(room / (self.audio_tokens() + TOKENS_PER_WINDOW))
    }

    /// The most tokens of text that are written for so many windows.
    pub fn max_new_tokens(windows: usize) -> usize {
        windows * TOKENS_PER_WINDOW
    }

    /// Positions of the sequence of a recording of so many windows, of which so many tokens are written at most.
    pub fn positions(&self, windows: usize, new_tokens: usize) -> usize {
        MARKERS + windows * self.audio_tokens() + new_tokens
    }

    /// Positions of all sequences that are there at once: of so many requests, at least 1, one may be of the longest recording.
    /// `None` if nobody can count so far.
    pub fn pool(&self, requests: usize) -> Option<usize> {
        let of = |windows: usize| self.positions(windows, Self::max_new_tokens(windows));
        let (longest, usual) = (self.longest(), USUAL_WINDOWS.min(self.longest()));
        of(usual).checked_mul(requests.checked_sub(1)?)?.checked_add(of(longest))
    }

    pub fn encoder(&self) -> AudioEncoderConfig {
        let audio = &self.audio_config;
        AudioEncoderConfig {
            bands: audio.num_mel_bins,
            positions: audio.max_source_positions,
            width: audio.hidden_size,
            layers: audio.num_hidden_layers,
            heads: audio.num_attention_heads,
            inner: audio.intermediate_size,
        }
    }

    pub fn llama(&self) -> LlamaConfig {
        let text = &self.text_config;
        LlamaConfig {
            layers: Some(text.num_hidden_layers),
            heads: text.num_attention_heads,
            shared: text.num_key_value_heads,
            head_dim: Some(text.head_dim),
            epsilon: text.rms_norm_eps,
            theta: text.rope_parameters.as_ref().and_then(|rope| rope.rope_theta).unwrap_or(text.rope_theta),
            long: None,
        }
    }

    /// About ten times the largest that there is, so that what is computed from them is far below what a `usize` holds.
    fn check_sizes(&self) -> Result<(), LoadError> {
        let (audio, text) = (&self.audio_config, &self.text_config);
        for (field, size, most) in [
            ("audio_config.hidden_size", audio.hidden_size, 16_384),
            ("audio_config.intermediate_size", audio.intermediate_size, 65_536),
            ("audio_config.num_hidden_layers", audio.num_hidden_layers, 320),
            ("audio_config.num_attention_heads", audio.num_attention_heads, 256),
            ("audio_config.num_mel_bins", audio.num_mel_bins, 1280),
            ("audio_config.max_source_positions", audio.max_source_positions, 15_000),
            ("text_config.hidden_size", text.hidden_size, 65_536),
            ("text_config.intermediate_size", text.intermediate_size, 262_144),
            ("text_config.num_hidden_layers", text.num_hidden_layers, 512),
            ("text_config.num_attention_heads", text.num_attention_heads, 512),
            ("text_config.num_key_value_heads", text.num_key_value_heads, 512),
            ("text_config.head_dim", text.head_dim, 1024),
            ("text_config.vocab_size", text.vocab_size, 1 << 21),
            ("text_config.max_position_embeddings", text.max_position_embeddings, 1 << 24),
        ] {
            if !(1..=most).contains(&size) {
                return Err(malformed(format!("{field} is {size}, where a whole number from 1 to {most} is expected")));
            }
        }
        for (field, size, of, whole) in [
            ("audio_config.num_attention_heads", audio.num_attention_heads, "hidden_size", audio.hidden_size),
            (
                "text_config.num_key_value_heads",
                text.num_key_value_heads,
                "num_attention_heads",
                text.num_attention_heads,
            ),
            ("2", 2, "text_config.head_dim", text.head_dim),
            (
                "audio_config.intermediate_size",
                audio.intermediate_size,
                "a window",
                audio.max_source_positions * audio.hidden_size,
            ),
        ] {
            if !whole.is_multiple_of(size) {
                return Err(malformed(format!("{field}, {size}, does not divide {of}, {whole}")));
            }
        }
        if self.longest() == 0 {
            let room = text.max_position_embeddings;
            return Err(malformed(format!("text_config.max_position_embeddings is {room}, too few for one window")));
        }
        Ok(())
    }

    /// What the network does not know otherwise.
    fn check_kinds(&self) -> Result<(), LoadError> {
        let (audio, text) = (&self.audio_config, &self.text_config);
        for (field, found, expected) in [
            ("audio_config.activation_function", &audio.activation_function, "gelu"),
            ("projector_hidden_act", &self.projector_hidden_act, "gelu"),
            ("text_config.hidden_act", &text.hidden_act, "silu"),
        ] {
            if found != expected {
                return Err(malformed(format!("{field} is \"{found}\", where \"{expected}\" is expected")));
            }
        }
        let rope = text.rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref());
        for (field, given) in [
            ("audio_config.scale_embedding", audio.scale_embedding),
            ("text_config.attention_bias", text.attention_bias),
            ("text_config.mlp_bias", text.mlp_bias),
            ("text_config.rope_scaling", text.rope_scaling.is_some()),
            ("text_config.rope_parameters.rope_type", rope.is_some_and(|kind| kind != "default")),
        ] {
            if given {
                return Err(LoadError::Unsupported(format!("{CONFIG} asks for {field}, which no Voxtral has")));
            }
        }
        Ok(())
    }
}

impl Default for Audio {
    fn default() -> Self {
        Self {
            hidden_size: 1280,
            intermediate_size: 5120,
            num_hidden_layers: 32,
            num_attention_heads: 20,
            num_mel_bins: 128,
            max_source_positions: 1500,
            activation_function: gelu(),
            scale_embedding: false,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self {
            hidden_size: 3072,
            intermediate_size: 8192,
            num_hidden_layers: 30,
            num_attention_heads: 32,
            num_key_value_heads: 8,
            head_dim: 128,
            vocab_size: 131_072,
            max_position_embeddings: 131_072,
            rms_norm_eps: 1e-5,
            rope_theta: 1e8,
            rope_parameters: None,
            rope_scaling: None,
            tie_word_embeddings: false,
            hidden_act: "silu".to_owned(),
            attention_bias: false,
            mlp_bias: false,
        }
    }
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn malformed(reason: String) -> LoadError {
    LoadError::Malformed { file: CONFIG.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mini() -> Value {
        json!({"model_type": "voxtral", "audio_config": {}, "text_config": {"rope_scaling": null}})
    }

    fn fault(part: &str, field: &str, value: Value) -> String {
        let mut json = mini();
        json[part][field] = value;
        Config::from_json(json).expect_err(field).to_string()
    }

    #[test]
    fn what_the_file_leaves_out_is_as_in_voxtral_mini() {
        let config = Config::from_json(mini()).unwrap();
        assert_eq!((config.frames(), config.audio_tokens(), config.longest()), (3000, 375, 20));
        assert_eq!(config.positions(20, Config::max_new_tokens(20)), 64 + 20 * (375 + 448));
        assert_eq!(config.llama().theta, 1e8);
    }

    #[test]
    fn the_base_of_the_angles_may_stand_in_either_place() {
        let mut json = mini();
        json["text_config"]["rope_parameters"] = json!({"rope_theta": 5e5, "rope_type": "default"});
        assert_eq!(Config::from_json(json).unwrap().llama().theta, 5e5);
    }

    #[test]
    fn there_is_room_for_the_longest_recording_and_a_minute_of_everybody_else() {
        let config = Config::from_json(mini()).unwrap();
        let (longest, minute) = (64 + 20 * (375 + 448), 64 + 2 * (375 + 448));
        assert_eq!(config.pool(1), Some(longest));
        assert_eq!(config.pool(8), Some(longest + 7 * minute));
        assert_eq!(config.pool(usize::MAX), None);
    }

    #[test]
    fn every_bad_value_is_named() {
        for (part, field, value, said) in [
            ("audio_config", "hidden_size", json!(0), "audio_config.hidden_size is 0, where"),
            ("audio_config", "hidden_size", json!(-1), "-1"),
            ("audio_config", "num_attention_heads", json!(7), "does not divide hidden_size, 1280"),
            ("audio_config", "activation_function", json!("relu"), "activation_function is \"relu\""),
            ("audio_config", "intermediate_size", json!(5121), "does not divide a window"),
            ("text_config", "num_key_value_heads", json!(5), "does not divide num_attention_heads, 32"),
            ("text_config", "head_dim", json!(127), "does not divide text_config.head_dim, 127"),
            ("text_config", "vocab_size", json!(1u64 << 40), "text_config.vocab_size is 1099511627776"),
            ("text_config", "max_position_embeddings", json!(300), "too few for one window"),
            ("text_config", "mlp_bias", json!(true), "text_config.mlp_bias"),
            ("text_config", "rope_scaling", json!({"factor": 8}), "text_config.rope_scaling"),
            ("text_config", "rope_parameters", json!({"rope_type": "llama3"}), "rope_type"),
        ] {
            let error = fault(part, field, value);
            assert!(error.contains(said) && error.contains(CONFIG), "{error}");
        }
    }
}
