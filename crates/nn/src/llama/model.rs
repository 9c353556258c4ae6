//! The network as a whole: tokens in, logits of the next out.

use std::ops::Range;

use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use super::repeating::Repeating;
use super::{
    layer::Layer,
    sequence::{HeadShape, Sequence},
};
use crate::{
    context::ComputeContext,
    embedding::Embedding,
    linear::{Epilogue, Linear},
    norm::RmsNorm,
    rope::{LongContext, Rope},
    weights::{Loaded, Loader, WeightError},
};

/// Tokens of one sequence that are read at once: the scores of a long sequence for all of them are what takes memory.
const BLOCK: usize = 512;

/// The weights. Sequences share them.
#[derive(Debug)]
pub struct Llama {
    pub(super) words: Embedding,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: RmsNorm,
    /// `[width]` → logits.
    head: Linear,
    rope: Rope,
    pub(super) shape: HeadShape,
    pub(super) context: ComputeContext,
    #[cfg(feature = "cuda")]
    pub(super) repeating: Option<Repeating>,
}

/// What no tensor tells.
#[derive(Clone, Copy, Debug)]
pub struct LlamaConfig {
    /// Held against the tensors, where it is said.
    pub layers: Option<usize>,
    pub heads: usize,
    /// Of keys and values.
    pub shared: usize,
    /// The width by the heads where it is not said.
    pub head_dim: Option<usize>,
    pub epsilon: f32,
    pub theta: f32,
    pub long: Option<LongContext>,
}

// === impl LlamaConfig ===

impl LlamaConfig {
    /// Of a model so wide.
    pub fn shape(&self, width: usize) -> HeadShape {
        let head_dim = self.head_dim.unwrap_or(width / self.heads.max(1));
        HeadShape { heads: self.heads, shared: self.shared, head_dim }
    }
}

// === impl Llama ===

impl Llama {
    /// From tensors whose names are those of `LlamaForCausalLM` of `transformers`. `logits`: of these tokens logits are
    /// computed; of all where it is `None`.
    pub fn load(loader: &mut Loader<'_>, config: &LlamaConfig, logits: Option<Range<usize>>) -> Loaded<Self> {
        let [vocabulary, width] = loader.weights.sizes("model.embed_tokens.weight")?;
        let (shape, epsilon) = (config.shape(width), config.epsilon);
        if shape.head_dim == 0 || !shape.head_dim.is_multiple_of(2) {
            let reason =
                format!("is {width} wide, where {} heads of as many numbers, an even count, are expected", shape.heads);
            return Err(WeightError::tensor("model.embed_tokens.weight", reason).into());
        }
        let count = layers(loader, config)?;
        let rope = Rope::new(shape.head_dim, config.theta, config.long, loader.context);
        let layer =
            |loader: &mut Loader<'_>, at| Layer::load(loader, &format!("model.layers.{at}"), width, shape, epsilon);
        Ok(Self {
            words: loader.embedding("model.embed_tokens", vocabulary, width)?,
            layers: (0..count).map(|at| layer(loader, at)).collect::<Loaded<_>>()?,
            norm: loader.rms_norm("model.norm", width, epsilon)?,
            head: head(loader, logits, vocabulary, width)?,
            #[cfg(feature = "cuda")]
            repeating: Repeating::new(&rope, &loader.context.device)?,
            rope,
            shape,
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
        Sequence::new(self.layers.len(), &self.shape.cache(capacity, &self.context), &self.context)
    }

    /// Bytes that a sequence takes for each position.
    pub fn position_bytes(&self) -> u64 {
        self.shape.position_bytes(self.layers.len(), &self.context)
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

    /// Feeds as many tokens to each of some sequences, sequence after sequence. The state after the last norm, `[tokens, width]`,
    /// which is to be used before the next are fed: an accelerator writes there again.
    pub fn forward(&self, tokens: &[u32], sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.vocabulary()) {
            candle_core::bail!("there is no token {token}: there are {}", self.vocabulary());
        }
        #[cfg(feature = "cuda")]
        if let Some(hidden) = self.step(tokens, sequences)? {
            return Ok(hidden);
        }
        let count = tokens.len() / sequences.len().max(1);
        let next = |sequence: &&mut Sequence| (sequence.len()..sequence.len() + count).map(|at| at as u32);
        let rotation = self.rope.at(&sequences.iter().flat_map(next).collect::<Vec<_>>())?;
        let mut x = self.words.forward(tokens)?;
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(at, &x, &rotation, sequences)?;
        }
        self.norm.forward(&x)
    }

    /// `[rows, width]` → of each row the logits, `[rows, vocabulary]`, in the type in which they are computed.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(hidden, Epilogue::None)
    }
}

/// As many as there are, which the configuration has to know as well; at least one, which is then found missing.
fn layers(loader: &Loader<'_>, config: &LlamaConfig) -> Loaded<usize> {
    let count = loader.weights.count(|at| format!("model.layers.{at}.input_layernorm.weight"));
    match config.layers.filter(|said| *said != count) {
        Some(said) => {
            let name = format!("model.layers.{}.input_layernorm.weight", count.min(said));
            let reason = format!("does not match config.json: there are {count} layers, and it says {said}");
            Err(WeightError::tensor(name, reason).into())
        }
        None => Ok(count.max(1)),
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
