//! All that decoding needs to know of a model, besides its weights.

use super::{
    config::Config,
    filters::{Filters, TimeRules},
    generation::{Generation, Hints},
    repository::VOCABULARY,
    tokens::Tokens,
};
use crate::model::{LoadError, ModelFiles};

/// Shared by every request to a model; never changes.
pub struct Recipe {
    pub tokens: Tokens,
    pub filters: Filters,
    pub alignment_heads: Vec<(usize, usize)>,
    /// Frames of 10 ms in a window.
    pub window: usize,
    /// Tokens that the decoder can hold.
    pub context: usize,
    prompt_timestamps: bool,
}

// === impl Recipe ===

impl Recipe {
    /// `part` holds what came with the weights; the vocabulary may be a part of its own.
    pub fn read(files: &ModelFiles, part: &str, config: &Config) -> Result<Self, LoadError> {
        let hints = Hints::read(files, part)?;
        let vocabulary = files.open(files.part_with(VOCABULARY)?, VOCABULARY)?;
        let tokens = Tokens::new(&vocabulary, &hints, config.vocab_size)?;
        let generation = Generation::new(&hints, &tokens, config)?;
        Ok(Self::new(tokens, generation, config))
    }

    pub fn new(tokens: Tokens, generation: Generation, config: &Config) -> Self {
        let last = (tokens.times as usize + config.max_source_positions).min(config.vocab_size - 1);
        let times = TimeRules {
            end: tokens.end,
            no_times: tokens.no_times,
            first: tokens.times,
            last: last as u32,
            max_initial: generation.max_initial_timestamp,
        };
        let Generation { suppress, begin_suppress, alignment_heads, prompt_timestamps, .. } = generation;
        Self {
            filters: Filters { suppress, begin_suppress, times },
            tokens,
            alignment_heads,
            window: config.max_source_positions * super::segments::FRAMES_PER_STEP,
            context: config.max_target_positions,
            prompt_timestamps,
        }
    }

    /// Whether a token that was said is part of later prompts.
    pub fn remembers(&self, token: u32) -> bool {
        self.prompt_timestamps || token < self.tokens.times
    }

    /// Tokens of a prompt that fit in, as openai-whisper counts.
    pub fn prompt_room(&self) -> usize {
        (self.context / 2).saturating_sub(1)
    }

    /// Tokens that a window may get, as openai-whisper counts.
    pub fn most_made(&self) -> usize {
        self.context / 2
    }
}
