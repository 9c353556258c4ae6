//! `config.json`: the sizes of a Whisper.

use serde_json::{Map, Value};

use crate::model::LoadError;

const FILE: &str = "config.json";

/// Of ids and of what no other bound is for: a file beyond is foreign or broken.
const MOST: usize = 1 << 20;

/// The largest sizes that are taken, each about ten times that of the largest Whisper there is. What is computed from
/// them (memory of a load, of a slot, of a batch) stays far below what a `usize` holds, and is compared with the budget
/// before anything is allocated.
mod most {
    pub const WIDTH: usize = 16_384;
    pub const FEED_FORWARD: usize = 65_536;
    pub const LAYERS: usize = 320;
    pub const HEADS: usize = 256;
    pub const MEL_BINS: usize = 1280;
    /// Five minutes.
    pub const SOURCE_POSITIONS: usize = 15_000;
    pub const TARGET_POSITIONS: usize = 4480;
}

/// The sizes of a network, and the tokens that the file names.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Width of every layer.
    pub d_model: usize,
    pub encoder_layers: usize,
    pub encoder_attention_heads: usize,
    pub encoder_ffn_dim: usize,
    pub decoder_layers: usize,
    pub decoder_attention_heads: usize,
    pub decoder_ffn_dim: usize,
    /// Bands of the log-mel.
    pub num_mel_bins: usize,
    /// Encoder positions of a window; a window has twice as many mel frames.
    pub max_source_positions: usize,
    /// Tokens that the decoder can hold.
    pub max_target_positions: usize,
    pub vocab_size: usize,
    /// Token embeddings are multiplied by `√d_model`.
    pub scale_embedding: bool,
    pub decoder_start_token_id: Option<u32>,
    pub eos_token_id: Option<u32>,
    /// Width of the median filter of word timestamps.
    pub median_filter_width: Option<usize>,
}

/// The fields of the file, and the faults that are found on reading them.
struct Fields<'a>(&'a Map<String, Value>);

// === impl Config ===

impl Config {
    /// Reads what [`crate::model::Family::recognises`] recognised. Unknown fields are left alone.
    pub fn from_json(json: &Value) -> Result<Self, LoadError> {
        let fields = Fields(json.as_object().ok_or_else(|| malformed("an object is expected".to_owned()))?);
        fields.must_be("model_type", "whisper")?;
        fields.must_be("activation_function", "gelu")?;
        let config = Self {
            d_model: fields.size_up_to("d_model", most::WIDTH)?,
            encoder_layers: fields.size_up_to("encoder_layers", most::LAYERS)?,
            encoder_attention_heads: fields.size_up_to("encoder_attention_heads", most::HEADS)?,
            encoder_ffn_dim: fields.size_up_to("encoder_ffn_dim", most::FEED_FORWARD)?,
            decoder_layers: fields.size_up_to("decoder_layers", most::LAYERS)?,
            decoder_attention_heads: fields.size_up_to("decoder_attention_heads", most::HEADS)?,
            decoder_ffn_dim: fields.size_up_to("decoder_ffn_dim", most::FEED_FORWARD)?,
            num_mel_bins: fields.size_up_to("num_mel_bins", most::MEL_BINS)?,
            max_source_positions: fields.size_up_to("max_source_positions", most::SOURCE_POSITIONS)?,
            max_target_positions: fields.size_up_to("max_target_positions", most::TARGET_POSITIONS)?,
            vocab_size: fields.size_up_to("vocab_size", MOST)?,
            scale_embedding: fields.flag("scale_embedding")?,
            decoder_start_token_id: fields.token("decoder_start_token_id")?,
            eos_token_id: fields.token("eos_token_id")?,
            median_filter_width: fields.optional_size("median_filter_width")?,
        };
        config.heads_divide("encoder_attention_heads", config.encoder_attention_heads)?;
        config.heads_divide("decoder_attention_heads", config.decoder_attention_heads)?;
        Ok(config)
    }

    /// Mel frames in a window.
    pub fn frames(&self) -> usize {
        2 * self.max_source_positions
    }

    fn heads_divide(&self, field: &str, heads: usize) -> Result<(), LoadError> {
        if self.d_model.is_multiple_of(heads) {
            return Ok(());
        }
        Err(malformed(format!("{field} is {heads}, which does not divide d_model, {}", self.d_model)))
    }
}

// === impl Fields ===

impl Fields<'_> {
    fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn must_be(&self, field: &str, expected: &str) -> Result<(), LoadError> {
        match self.get(field) {
            Some(Value::String(found)) if found == expected => Ok(()),
            Some(found) => Err(malformed(format!("{field} is {found}, where \"{expected}\" is expected"))),
            None => Err(malformed(format!("{field} is missing; \"{expected}\" is expected"))),
        }
    }

    fn size_up_to(&self, field: &str, most: usize) -> Result<usize, LoadError> {
        self.optional_size_up_to(field, most)?.ok_or_else(|| malformed(format!("{field} is missing")))
    }

    fn optional_size(&self, field: &str) -> Result<Option<usize>, LoadError> {
        self.optional_size_up_to(field, MOST)
    }

    fn optional_size_up_to(&self, field: &str, most: usize) -> Result<Option<usize>, LoadError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.as_u64().and_then(|size| usize::try_from(size).ok()) {
            Some(size) if (1..=most).contains(&size) => Ok(Some(size)),
            _ => Err(malformed(format!("{field} is {value}, where a whole number from 1 to {most} is expected"))),
        }
    }

    fn token(&self, field: &str) -> Result<Option<u32>, LoadError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.as_u64().and_then(|token| u32::try_from(token).ok()) {
            Some(token) => Ok(Some(token)),
            None => Err(malformed(format!("{field} is {value}, where a token number is expected"))),
        }
    }

    fn flag(&self, field: &str) -> Result<bool, LoadError> {
        match self.get(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(malformed(format!("{field} is {value}, where true or false is expected"))),
        }
    }
}

fn malformed(reason: String) -> LoadError {
    LoadError::Malformed { file: FILE.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tiny() -> Value {
        json!({
            "model_type": "whisper", "activation_function": "gelu", "d_model": 384, "encoder_layers": 4,
            "encoder_attention_heads": 6, "encoder_ffn_dim": 1536, "decoder_layers": 4, "decoder_attention_heads": 6,
            "decoder_ffn_dim": 1536, "num_mel_bins": 80, "max_source_positions": 1500, "max_target_positions": 448,
            "vocab_size": 51865, "decoder_start_token_id": 50258, "eos_token_id": 50257,
        })
    }

    /// The message for the file with one field changed.
    fn fault(field: &str, value: Value) -> String {
        let mut json = tiny();
        json[field] = value;
        Config::from_json(&json).expect_err(field).to_string()
    }

    #[test]
    fn nulls_and_unknown_fields_are_left_alone() {
        let mut json = tiny();
        for field in ["suppress_tokens", "scale_embedding", "eos_token_id", "median_filter_width"] {
            json[field] = Value::Null;
        }
        json["something"] = json!({ "new": 1 });
        let config = Config::from_json(&json).expect("valid");
        assert_eq!((config.d_model, config.frames(), config.eos_token_id), (384, 3000, None));
    }

    #[test]
    fn every_bad_value_is_named() {
        assert!(fault("d_model", json!(0)).contains("d_model is 0, where a whole number from 1"));
        assert!(fault("d_model", json!(385)).contains("encoder_attention_heads is 6, which does not divide"));
        assert!(fault("vocab_size", json!("many")).contains("vocab_size is \"many\""));
        assert!(fault("encoder_layers", json!(1e30)).contains("encoder_layers is 1e+30"));
        assert!(fault("decoder_layers", Value::Null).contains("decoder_layers is missing"));
        assert!(fault("eos_token_id", json!(-1)).contains("eos_token_id is -1"));
        assert!(fault("activation_function", json!("relu")).contains("activation_function is \"relu\""));
    }

    #[test]
    fn sizes_that_no_machine_could_hold_are_refused_by_name() {
        for field in ["d_model", "encoder_layers", "decoder_ffn_dim", "max_source_positions", "max_target_positions"] {
            let reason = fault(field, json!(500_000));
            assert!(reason.contains(&format!("{field} is 500000, where a whole number from 1 to")), "{reason}");
        }
    }

    #[test]
    fn a_foreign_file_is_refused() {
        assert!(fault("model_type", json!("bert")).contains("model_type is \"bert\", where \"whisper\" is expected"));
        assert!(Config::from_json(&json!([1])).is_err());
        assert!(Config::from_json(&json!({})).is_err());
    }
}
