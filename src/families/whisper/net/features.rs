//! What the network gives between its steps.

use candle_core::Tensor;

/// What the encoder heard in one window, `[positions, d_model]`.
#[derive(Clone, Debug)]
pub struct Features(pub(in crate::families::whisper) Tensor);

/// Where the decoder looked while it read tokens.
#[derive(Clone, Debug)]
pub struct Alignment {
    pub heads: usize,
    pub tokens: usize,
    pub positions: usize,
    /// Cross-attention after softmax over all positions: `[heads, tokens, positions]`, row by row.
    pub weights: Vec<f32>,
    /// For each token but the last, the probability of the one after it.
    pub next: Vec<f32>,
}
