//! The transformer, of either kind.

use candle_core::{Result, Tensor};

use super::{gpt2::Gpt2, llama::Llama, sequence::Sequence};
use crate::nn::weights::{Loaded, Loader, WeightError};

/// Numbers of a head, in every published model.
pub(super) const HEAD_DIM: usize = 64;

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

/// How many layers there are: those that have `tensor`.
pub(super) fn count(loader: &Loader<'_>, layers: &str, tensor: &str) -> usize {
    (0..).take_while(|at| loader.weights.has(&format!("{layers}{at}.{tensor}"))).count()
}

/// The rows of a matrix.
pub(super) fn rows(loader: &Loader<'_>, name: &str) -> Loaded<usize> {
    matrix(loader, name).map(|(rows, _)| rows)
}

/// The sizes of a matrix, neither of them 0.
pub(super) fn matrix(loader: &Loader<'_>, name: &str) -> Loaded<(usize, usize)> {
    match loader.weights.shape(name)? {
        &[rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns)),
        other => Err(fault(name, format!("has the shape {other:?}, where a matrix is expected")).into()),
    }
}

pub(super) fn fault(tensor: &str, reason: String) -> WeightError {
    WeightError::Tensor { tensor: tensor.to_owned(), reason }
}

/// `width` must be made of whole heads.
pub(super) fn check_width(name: &str, width: usize) -> Loaded<()> {
    match width.is_multiple_of(HEAD_DIM) {
        true => Ok(()),
        false => Err(fault(name, format!("is {width} wide, where a multiple of {HEAD_DIM} is expected")).into()),
    }
}
