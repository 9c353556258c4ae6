//! The language model: a Llama that reads rows of sound among those of tokens.

use candle_core::{Result, Tensor};

use super::{super::config::Config, spelling::Spelling};
#[cfg(feature = "cuda")]
use crate::nn::llama::StepInput;
use crate::nn::{
    Embedding, Epilogue, Linear,
    llama::{LlamaStack, Sequence},
    weights::{Loaded, Loader, WeightError},
};

/// The weights. Sequences share them.
pub struct LanguageModel {
    words: Embedding,
    stack: LlamaStack,
    /// `[width]` → logits.
    head: Linear,
}

// === impl LanguageModel ===

impl LanguageModel {
    pub(super) fn load(loader: &mut Loader<'_>, spelling: Spelling, config: &Config) -> Loaded<Self> {
        let text = &config.text_config;
        let (vocabulary, width) = (text.vocab_size, text.hidden_size);
        let prefix = spelling.stored("language_model.model.");
        check_inner(loader, &prefix, config)?;
        let table = loader.weights.view(&format!("{prefix}embed_tokens.weight"), &[vocabulary, width])?;
        let of_head = spelling.stored("language_model.lm_head.weight");
        let head = match text.tie_word_embeddings {
            true => {
                loader.weights.ignore(&of_head);
                table.clone()
            }
            false => loader.weights.view(&of_head, &[vocabulary, width])?,
        };
        Ok(Self {
            words: Embedding::new(table, width, loader.context)?,
            stack: LlamaStack::load(loader, &prefix, width, &config.llama())?,
            head: Linear::quantizable(&[head], None, width, loader.context)?,
        })
    }

    /// With room for so many positions.
    pub fn sequence(&self, capacity: usize) -> Result<Sequence> {
        self.stack.sequence(capacity)
    }

    /// Bytes that a sequence takes for each position.
    pub fn position_bytes(&self) -> u64 {
        self.stack.position_bytes()
    }

    /// `[tokens, width]`
    pub fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        self.words.forward(tokens)
    }

    /// Reads `[rows, width]` after all that a sequence holds. The state after the last row, `[1, width]`.
    pub fn read(&self, x: &Tensor, sequence: &mut Sequence) -> Result<Tensor> {
        let hidden = self.stack.forward(x, &mut [sequence])?;
        hidden.narrow(0, hidden.dim(0)? - 1, 1)
    }

    /// Of states, `[rows, width]`, the logits of what comes next, `[rows, vocabulary]`, in the type in which they are computed.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(&self.stack.norm(hidden)?, Epilogue::None)
    }

    /// Feeds a token to each of some sequences. Of each the logits of the next; they are to be used before the next are fed: an
    /// accelerator writes there again.
    pub fn next(&self, tokens: &[u32], sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(logits) = self.step(StepInput { tokens, table: &self.words, positions: None }, sequences)? {
            return Ok(logits);
        }
        self.logits(&self.stack.forward(&self.words.forward(tokens)?, sequences)?)
    }

    /// The same where an accelerator repeats it, of rows of any table. `None`: they are not fed like that, and nothing was done.
    #[cfg(feature = "cuda")]
    pub fn step(&self, input: StepInput<'_>, sequences: &mut [&mut Sequence]) -> Result<Option<Tensor>> {
        self.stack.step(input, &self.head, sequences)
    }
}

/// Holds the width between the layers of the feed-forward parts, which memory is counted by, against the tensors.
fn check_inner(loader: &Loader<'_>, prefix: &str, config: &Config) -> Loaded<()> {
    let expected = [config.text_config.intermediate_size, config.text_config.hidden_size];
    for at in 0..config.text_config.num_hidden_layers {
        let name = format!("{prefix}layers.{at}.mlp.gate_proj.weight");
        if loader.weights.has(&name) && loader.weights.shape(&name)? != expected {
            let reason = format!("has the shape {:?}, where {expected:?} is expected", loader.weights.shape(&name)?);
            return Err(WeightError::tensor(name, reason).into());
        }
    }
    Ok(())
}
