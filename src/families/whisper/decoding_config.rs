//! All that decoding needs to know of a model, besides its weights.

use super::{
    config::Config,
    filters::{LogitFilters, TimestampRules},
    generation::Generation,
    generation_config::GenerationConfig,
    repository::{self, VOCABULARY},
    tokens::Tokens,
};
use crate::model::{LoadError, ModelFiles};

/// Shared by every request to a model; never changes.
pub struct DecodingConfig {
    pub tokens: Tokens,
    pub filters: LogitFilters,
    pub alignment_heads: Vec<(usize, usize)>,
    /// Frames of 10 ms in a window.
    pub window: usize,
    /// Tokens that the decoder can hold.
    pub context: usize,
    prompt_timestamps: bool,
}

// === impl DecodingConfig ===

impl DecodingConfig {
    /// `part` holds what came with the weights; the vocabulary may be a part of its own.
    pub fn read(files: &ModelFiles, part: &str, config: &Config) -> Result<Self, LoadError> {
        let given = GenerationConfig::read(files, part)?;
        let vocabulary = files.open(repository::parts(files).vocabulary, VOCABULARY)?;
        let tokens = Tokens::new(&vocabulary, &given, config.vocab_size)?;
        let generation = Generation::new(&given, &tokens, config)?;
        Ok(Self::new(tokens, generation, config))
    }

    pub fn new(tokens: Tokens, generation: Generation, config: &Config) -> Self {
        let last = (tokens.timestamp_begin as usize + config.max_source_positions).min(config.vocab_size - 1);
        let times = TimestampRules {
            end: tokens.eot,
            no_timestamps: tokens.no_timestamps,
            first: tokens.timestamp_begin,
            last: last as u32,
            max_initial: generation.max_initial_timestamp,
        };
        let Generation { suppress, begin_suppress, alignment_heads, prompt_timestamps, .. } = generation;
        Self {
            filters: LogitFilters { suppress, begin_suppress, times },
            tokens,
            alignment_heads,
            window: config.max_source_positions * super::segments::FRAMES_PER_STEP,
            context: config.max_target_positions,
            prompt_timestamps,
        }
    }

    /// Whether a token that was said is part of later prompts.
    pub fn keeps_in_prompt(&self, token: u32) -> bool {
        self.prompt_timestamps || token < self.tokens.timestamp_begin
    }

    /// Tokens of a prompt that fit in, as openai-whisper counts.
    pub fn max_prompt_tokens(&self) -> usize {
        (self.context / 2).saturating_sub(1)
    }

    /// Tokens that a window may get, as openai-whisper counts.
    pub fn max_new_tokens(&self) -> usize {
        self.context / 2
    }
}
