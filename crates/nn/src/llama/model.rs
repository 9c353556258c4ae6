//! The network as a whole: tokens in, logits of the next out.

use std::ops::Range;

use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use super::repeating::StepInput;
use super::{
    sequence::Sequence,
    stack::{LlamaConfig, LlamaStack},
};
use crate::{
    context::ComputeContext,
    embedding::Embedding,
    linear::{Epilogue, Linear},
    weights::{Loaded, Loader, WeightError},
};

/// Tokens of one sequence that are read at once: the scores of a long sequence for all of them are what takes memory.
const BLOCK: usize = 512;

/// The weights. Sequences share them.
#[derive(Debug)]
pub struct Llama {
    words: Embedding,
    stack: LlamaStack,
    /// `[width]` → logits.
    head: Linear,
    context: ComputeContext,
}

// === impl Llama ===

impl Llama {
    /// From tensors whose names are those of `LlamaForCausalLM` of `transformers`. `logits`: of these tokens logits are
    /// computed; of all where it is `None`.
    pub fn load(loader: &mut Loader<'_>, config: &LlamaConfig, logits: Option<Range<usize>>) -> Loaded<Self> {
        let [vocabulary, width] = loader.weights.sizes("model.embed_tokens.weight")?;
        let shape = config.shape(width);
        if shape.head_dim == 0 || !shape.head_dim.is_multiple_of(2) {
            let reason =
                format!("is {width} wide, where {} heads of as many numbers, an even count, are expected", shape.heads);
            return Err(WeightError::tensor("model.embed_tokens.weight", reason).into());
        }
        Ok(Self {
            stack: LlamaStack::load(loader, "model.", width, config)?,
            words: loader.embedding("model.embed_tokens", vocabulary, width)?,
            head: head(loader, logits, vocabulary, width)?,
            context: loader.context.clone(),
        })
    }

    /// Tokens that there are.
    pub fn vocabulary(&self) -> usize {
        self.words.len()
    }

    /// Whether our own kernels compute.
    pub fn has_kernels(&self) -> bool {
        self.context.kernels.is_some()
    }

    /// With room for so many positions.
    pub fn sequence(&self, capacity: usize) -> Result<Sequence> {
        self.stack.sequence(capacity)
    }

    /// Bytes that a sequence takes for each position.
    pub fn position_bytes(&self) -> u64 {
        self.stack.position_bytes()
    }

    /// Feeds one sequence what it has to read, of which there is something. The state after the last token, `[1, width]`.
    /// Whatever it was fed before, the same blocks give the same numbers.
    pub fn read(&self, tokens: &[u32], sequence: &mut Sequence) -> Result<Tensor> {
        let mut last = None;
        for block in tokens.chunks(BLOCK) {
            let hidden = self.forward(block, &mut [sequence])?;
            last = Some(hidden.narrow(0, hidden.dim(0)? - 1, 1)?);
        }
        last.ok_or_else(|| candle_core::Error::msg("there is nothing to read"))
    }

    /// Feeds a token to each of some sequences. Of each the logits of the next, `[sequences, vocabulary]`, in the type in which they
    /// are computed; they are to be used before the next are fed: an accelerator writes there again.
    pub fn next(&self, tokens: &[u32], sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(logits) = self.stack.step(self.input(tokens), &self.head, sequences)? {
            return Ok(logits);
        }
        self.logits(&self.forward(tokens, sequences)?)
    }

    #[cfg(feature = "cuda")]
    fn input<'a>(&'a self, tokens: &'a [u32]) -> StepInput<'a> {
        StepInput { tokens, table: &self.words, positions: None }
    }

    /// Feeds as many tokens to each of some sequences, sequence after sequence. The state after the last norm, `[tokens, width]`.
    pub fn forward(&self, tokens: &[u32], sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.vocabulary()) {
            candle_core::bail!("there is no token {token}: there are {}", self.vocabulary());
        }
        self.stack.norm(&self.stack.forward(&self.words.forward(tokens)?, sequences)?)
    }

    /// `[rows, width]` → of each row the logits, `[rows, vocabulary]`, in the type in which they are computed.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(hidden, Epilogue::None)
    }
}

fn head(loader: &mut Loader<'_>, tokens: Option<Range<usize>>, vocabulary: usize, width: usize) -> Loaded<Linear> {
    const NAME: &str = "lm_head.weight";
    let all = loader.weights.view(NAME, &[vocabulary, width])?;
    let weight = match tokens {
        None => all,
        Some(tokens) if tokens.start < tokens.end && tokens.end <= vocabulary => {
            all.part(tokens.start * width..tokens.end * width)
        }
        Some(tokens) => {
            let reason = format!("has {vocabulary} rows, where {} are expected", tokens.end);
            return Err(WeightError::tensor(NAME, reason).into());
        }
    };
    Ok(Linear::quantizable(&[weight], None, width, loader.context)?)
}
