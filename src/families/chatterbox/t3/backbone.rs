//! The transformer, of either kind.

use candle_core::{Result, Tensor};

use super::{gpt2::Gpt2, heads::shape};
use crate::nn::{
    LongContext,
    llama::{HeadShape, LlamaConfig, LlamaStack, Sequence},
    weights::{Loaded, Loader},
};

#[derive(Debug)]
pub(super) enum Backbone {
    /// Of the English and the multilingual model.
    Llama(LlamaStack),
    /// Of Turbo and Nano.
    Gpt2(Gpt2),
}

/// The base of the wavelengths and their stretch, as in Llama 3.1.
const THETA: f32 = 5e5;
const LONG: LongContext = LongContext { factor: 8.0, low: 1.0, high: 4.0, trained: 8192.0 };

// === impl Backbone ===

impl Backbone {
    /// Of the kind that the tensors under `prefix` are.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, width: usize) -> Loaded<Self> {
        match loader.weights.has(&format!("{prefix}h.0.ln_1.weight")) {
            true => Gpt2::load(loader, prefix, width).map(Self::Gpt2),
            false => llama(loader, prefix, width).map(Self::Llama),
        }
    }

    /// With room for so many positions.
    pub fn sequence(&self, capacity: usize) -> Result<Sequence> {
        match self {
            Self::Llama(llama) => llama.sequence(capacity),
            Self::Gpt2(gpt2) => gpt2.sequence(capacity),
        }
    }

    /// Positions that a sequence can have, where the model ends somewhere.
    pub fn positions(&self) -> Option<usize> {
        match self {
            Self::Llama(_) => None,
            Self::Gpt2(gpt2) => Some(gpt2.positions.len()),
        }
    }

    /// Feeds as many rows to each of some sequences, `[rows, width]`, sequence after sequence. The state after each row,
    /// before the last norm.
    pub fn forward(&self, x: &Tensor, sequences: &mut [&mut Sequence]) -> Result<Tensor> {
        match self {
            Self::Llama(llama) => llama.forward(x, sequences),
            Self::Gpt2(gpt2) => gpt2.forward(x, sequences),
        }
    }

    /// `[rows, width]`
    pub fn norm(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Llama(llama) => llama.norm(x),
            Self::Gpt2(gpt2) => gpt2.norm.forward(x),
        }
    }
}

fn llama(loader: &mut Loader<'_>, prefix: &str, width: usize) -> Loaded<LlamaStack> {
    // The model is always given embeddings of T3's own.
    loader.weights.ignore(&format!("{prefix}embed_tokens.weight"));
    let HeadShape { heads, shared, head_dim } = shape(width);
    let config = LlamaConfig {
        layers: None,
        heads,
        shared,
        head_dim: Some(head_dim),
        epsilon: 1e-5,
        theta: THETA,
        long: Some(LONG),
    };
    LlamaStack::load(loader, prefix, width, &config)
}
