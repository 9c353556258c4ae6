//! The transformer, of either kind.

use candle_core::{Result, Tensor};

use super::{gpt2::Gpt2, llama::Llama, sequence::Sequence};
use crate::nn::weights::{Loaded, Loader};

#[derive(Debug)]
pub(super) enum Backbone {
    Llama(Llama),
    Gpt2(Gpt2),
}

// === impl Backbone ===

impl Backbone {
    /// Of the kind that the tensors under `prefix` are.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, width: usize) -> Loaded<Self> {
        match loader.weights.has(&format!("{prefix}h.0.ln_1.weight")) {
            true => Gpt2::load(loader, prefix, width).map(Self::Gpt2),
            false => Llama::load(loader, prefix, width).map(Self::Llama),
        }
    }

    pub fn layers(&self) -> usize {
        match self {
            Self::Llama(llama) => llama.layers.len(),
            Self::Gpt2(gpt2) => gpt2.layers.len(),
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
            Self::Llama(llama) => llama.norm.forward(x),
            Self::Gpt2(gpt2) => gpt2.norm.forward(x),
        }
    }
}
