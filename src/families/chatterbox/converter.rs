//! A recording that is being spoken in another voice, window by window: both what is heard and what is made.

use std::{ops::Range, sync::Arc};

use super::{
    decoder::{Decoder, Part, S3Gen},
    options::ConversionOptions,
    s3_tokenizer::{RATE, S3Tokenizer},
    voices::Voice,
};

/// Tokens in a second.
const TOKEN_RATE: usize = 25;
/// Samples of a token.
const TOKEN: usize = RATE as usize / TOKEN_RATE;
/// A recording of no more than this is heard as one, as by the reference: 30 s, the longest that the tokenizer knows.
const WHOLE: usize = 30 * TOKEN_RATE;
/// Tokens that a pass adds: 15 s.
const WINDOW: usize = 15 * TOKEN_RATE;
/// Tokens before them that the flow sees as well: 3 s.
const CONTEXT: usize = 3 * TOKEN_RATE;
/// Tokens on either side of a window that are heard with it, and left out: 2 s.
const AROUND: usize = 2 * TOKEN_RATE;

/// A recording in hand.
pub struct Conversion {
    /// At [`RATE`].
    samples: Vec<f32>,
    /// Of its beginning, as far as it was heard.
    tokens: Vec<u32>,
    decoder: Decoder,
    done: bool,
}

// === impl Conversion ===

impl Conversion {
    /// `samples`: at [`RATE`].
    pub fn new(samples: Vec<f32>, s3gen: &S3Gen, voice: Arc<Voice>, options: &ConversionOptions) -> Self {
        let decoder = Decoder::new(s3gen, voice, options.flow, options.seed);
        Self { samples, tokens: Vec::new(), decoder, done: false }
    }

    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The sound of the next window. `None` once `stop` said so.
    pub fn sound(
        &mut self,
        tokenizer: &S3Tokenizer,
        s3gen: &S3Gen,
        stop: &dyn Fn() -> bool,
    ) -> candle_core::Result<Option<Vec<f32>>> {
        let (all, before) = (self.samples.len().div_ceil(TOKEN), self.tokens.len());
        let window = if all <= WHOLE { 0..all } else { before..all.min(before + WINDOW) };
        self.hear(tokenizer, window.clone(), all)?;
        self.done = window.end == all;
        let first = before.saturating_sub(CONTEXT);
        let part = Part { tokens: &self.tokens[first..], first, last: self.done };
        self.decoder.extend(s3gen, part, stop)
    }

    /// Adds the tokens of a window. What stands around it is heard with it.
    fn hear(&mut self, tokenizer: &S3Tokenizer, window: Range<usize>, all: usize) -> candle_core::Result<()> {
        let heard = window.start.saturating_sub(AROUND)..all.min(window.end + AROUND);
        let samples = heard.start * TOKEN..self.samples.len().min(heard.end * TOKEN);
        let tokens = tokenizer.tokenize(&self.samples[samples])?;
        // A rest that is too short for a frame has no token.
        let kept = tokens.iter().skip(window.start - heard.start).take(window.len());
        self.tokens.extend(kept);
        Ok(())
    }
}
