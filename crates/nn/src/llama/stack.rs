//! The layers and the norm after them, whatever is fed to them and whatever is made of what comes out.

use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use super::repeating::Repeating;
use super::{
    layer::Layer,
    sequence::{HeadShape, Sequence, positions},
};
use crate::{
    context::ComputeContext,
    norm::RmsNorm,
    rope::{LongContext, Rope},
    weights::{Loaded, Loader, WeightError},
};

/// The weights between a family's embedding and its head. Sequences share them.
#[derive(Debug)]
pub struct LlamaStack {
    pub(super) layers: Vec<Layer>,
    pub(super) norm: RmsNorm,
    rope: Rope,
    shape: HeadShape,
    context: ComputeContext,
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

// === impl LlamaStack ===

impl LlamaStack {
    /// From tensors whose names are those of `LlamaModel` of `transformers`, after `prefix`.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, width: usize, config: &LlamaConfig) -> Loaded<Self> {
        let (shape, epsilon) = (config.shape(width), config.epsilon);
        let count = layers(loader, prefix, config)?;
        let rope = Rope::new(shape.head_dim, config.theta, config.long, loader.context);
        let layer =
            |loader: &mut Loader<'_>, at| Layer::load(loader, &format!("{prefix}layers.{at}"), width, shape, epsilon);
        Ok(Self {
            layers: (0..count).map(|at| layer(loader, at)).collect::<Loaded<_>>()?,
            norm: loader.rms_norm(&format!("{prefix}norm"), width, epsilon)?,
            #[cfg(feature = "cuda")]
            repeating: Repeating::new(Some(&rope), shape, loader.context)?,
            rope,
            shape,
            context: loader.context.clone(),
        })
    }

    /// With room for so many positions.
    pub fn sequence(&self, capacity: usize) -> Result<Sequence> {
        Sequence::new(self.layers.len(), &self.shape.cache(capacity, &self.context), &self.context)
    }

    /// Bytes that a sequence takes for each position.
    pub fn position_bytes(&self) -> u64 {
        self.shape.position_bytes(self.layers.len(), &self.context)
    }

    /// Feeds as many rows to each of some sequences, `[rows, width]`, sequence after sequence. The state after each row, before the
    /// last norm.
    pub fn forward(&self, x: &Tensor, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        let rotation = self.rope.at(&positions(sequences, x.dim(0)? / sequences.len().max(1)))?;
        let mut x = x.clone();
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(at, &x, &rotation, sequences)?;
        }
        Ok(x)
    }

    /// `[rows, width]`
    pub fn norm(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(x)
    }
}

/// As many as there are, which the configuration has to know as well; at least one, which is then found missing.
fn layers(loader: &Loader<'_>, prefix: &str, config: &LlamaConfig) -> Loaded<usize> {
    let norm_of = |at: usize| format!("{prefix}layers.{at}.input_layernorm.weight");
    let count = loader.weights.count(norm_of);
    match config.layers.filter(|said| *said != count) {
        Some(said) => {
            let reason = format!("does not match config.json: there are {count} layers, and it says {said}");
            Err(WeightError::tensor(norm_of(count.min(said)), reason).into())
        }
        None => Ok(count.max(1)),
    }
}
