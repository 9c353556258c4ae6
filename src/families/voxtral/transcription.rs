//! One request from its prompt to its last token. Knows no network: it says what to feed and what to choose
//! after it, and is told what was chosen.

use std::sync::Arc;

use rand::{SeedableRng, rngs::StdRng};

use super::{decoding_config::DecodingConfig, options::TranscriptionOptions, sentences::Sentences};
use crate::{
    model::RequestError,
    nn::sampler::{Chosen, Pick},
    speech::{Segment, Summary, Transcribe},
};

/// Of a recording whose language nobody named: the model hears it and does not tell (ISO 639-2).
const UNDETERMINED: &str = "und";

/// A request that is being answered.
pub struct Transcription {
    decoding: Arc<DecodingConfig>,
    options: TranscriptionOptions,
    rng: StdRng,
    /// The prompt after the windows.
    closing: Vec<u32>,
    sentences: Sentences,
    /// Tokens made.
    made: usize,
    state: State,
}

/// ```text
/// Hearing (each window) ──► Writing (each token) ──► Done
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// This window.
    Hearing(usize),
    /// After this token.
    Writing(u32),
    Done,
}

/// What the network is to be fed next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NextStep<'a> {
    /// Then [`Transcription::heard`], or after the last of them [`Transcription::take`].
    Hear(Block<'a>),
    /// This token; then [`Transcription::take`].
    Write(u32),
    /// It is over.
    Done,
}

/// A window, and what of the prompt goes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block<'a> {
    /// Tokens before the first window.
    pub before: &'a [u32],
    pub window: usize,
    /// Tokens after the last.
    pub after: &'a [u32],
}

/// The network gave numbers that are no distribution.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the logits are no distribution")]
pub struct NoDistribution;

// === impl Transcription ===

impl Transcription {
    pub fn new(decoding: Arc<DecodingConfig>, ask: &Transcribe) -> Result<Self, RequestError> {
        let options = TranscriptionOptions::new(ask, &decoding)?;
        let closing = decoding.closing(options.language.as_deref()).map_err(|error| {
            tracing::warn!(%error, "a language could not be encoded");
            RequestError::Invalid {
                param: "language",
                message: "the model cannot read this language's code".to_owned(),
            }
        })?;
        let state = if options.windows == 0 { State::Done } else { State::Hearing(0) };
        let (rng, sentences) = (StdRng::seed_from_u64(options.seed), Sentences::default());
        Ok(Self { decoding, options, rng, closing, sentences, made: 0, state })
    }

    pub fn options(&self) -> &TranscriptionOptions {
        &self.options
    }

    pub fn next_step(&self) -> NextStep<'_> {
        match self.state {
            State::Hearing(window) => NextStep::Hear(Block {
                before: if window == 0 { &self.decoding.opening } else { &[] },
                window,
                after: if window + 1 < self.options.windows { &[] } else { &self.closing },
            }),
            State::Writing(last) => NextStep::Write(last),
            State::Done => NextStep::Done,
        }
    }

    /// Takes note of a block that is not the last.
    pub fn heard(&mut self) {
        if let State::Hearing(window) = self.state {
            self.state = State::Hearing(window + 1);
        }
    }

    /// What is to be chosen from the logits after the last block, or after a token.
    pub fn pick(&mut self) -> Pick {
        Pick::one(self.options.temperature, &mut self.rng)
    }

    /// Takes that; gives the sentences that are whole.
    pub fn take(&mut self, chosen: Chosen) -> Result<Vec<Segment>, NoDistribution> {
        let choice = chosen.into_iter().flatten().next().ok_or(NoDistribution)?;
        if self.decoding.is_end(choice.token) {
            self.state = State::Done;
            return Ok(self.sentences.finish(&self.options).into_iter().collect());
        }
        self.made += 1;
        let bytes = self.decoding.tekken.bytes(choice.token);
        let sentence = self.sentences.push(choice.token, bytes, choice.logprob, &self.options);
        let is_last = self.made >= self.options.max_new_tokens;
        self.state = if is_last { State::Done } else { State::Writing(choice.token) };
        let rest = if is_last { self.sentences.finish(&self.options) } else { None };
        Ok(sentence.into_iter().chain(rest).collect())
    }

    pub fn is_over(&self) -> bool {
        self.state == State::Done
    }

    pub fn summary(&self) -> Summary {
        let language = self.options.language.clone().unwrap_or_else(|| UNDETERMINED.to_owned());
        Summary { language, duration: self.options.duration, tokens: self.made }
    }
}

// === impl Block ===

impl Block<'_> {
    /// Whether the text begins after it.
    pub fn is_last(&self) -> bool {
        !self.after.is_empty()
    }
}
