//! `generation_config.json`, or `config.json` where older checkpoints keep the same fields.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{LoadError, ModelFiles};

/// The fields that matter here, as they stand in the file. All may be absent or null.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct GenerationConfig {
    pub is_multilingual: Option<bool>,
    pub lang_to_id: Option<BTreeMap<String, u32>>,
    pub task_to_id: Option<BTreeMap<String, u32>>,
    pub no_timestamps_token_id: Option<u32>,
    pub prev_sot_token_id: Option<u32>,
    pub suppress_tokens: Option<Vec<i64>>,
    pub begin_suppress_tokens: Option<Vec<i64>>,
    pub alignment_heads: Option<Vec<(usize, usize)>>,
    pub max_initial_timestamp_index: Option<usize>,
    /// Ours: whether earlier text in a prompt keeps its timestamps. OpenAI's models are used to that, smaller ones may
    /// not be.
    pub prompt_timestamps: Option<bool>,
}

// === impl GenerationConfig ===

impl GenerationConfig {
    pub fn read(files: &ModelFiles, part: &str) -> Result<Self, LoadError> {
        match files.optional_json(part, "generation_config.json")? {
            Some(given) => Ok(given),
            None => files.json(part, "config.json"),
        }
    }
}
