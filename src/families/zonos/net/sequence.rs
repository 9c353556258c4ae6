//! What a sequence remembers, in every layer.

use crate::nn::{Mamba2State, llama};

/// One sequence as the backbone remembers it.
#[derive(Debug)]
pub struct Sequence {
    /// Of the layers that attend.
    pub attention: llama::Sequence,
    /// One for each of the others.
    pub states: Vec<Mamba2State>,
}
