//! From tokens and positions to rows of numbers.

use candle_core::{Result, Tensor};

use super::{
    context::ComputeContext,
    linear::{Epilogue, Linear},
    weights::data::WeightData,
};

/// A table with a row for each token, or each position.
#[derive(Debug)]
pub struct Embedding {
    /// `[rows, width]`
    table: Linear,
}

/// A table of tokens that is the output layer as well (tied weights), as which it may be quantised.
#[derive(Debug)]
pub struct TiedEmbedding {
    /// `[vocabulary, width]`
    table: Linear,
}

// === impl Embedding ===

impl Embedding {
    /// `table`: `[rows, width]`
    pub fn new(table: WeightData, width: usize, context: &ComputeContext) -> Result<Self> {
        Self::joined(&[table], width, context)
    }

    /// Of several tables, one after another.
    pub fn joined(tables: &[WeightData], width: usize, context: &ComputeContext) -> Result<Self> {
        Ok(Self { table: Linear::new(tables, None, width, context)? })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.table.columns()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table, for a step.
    #[cfg(feature = "cuda")]
    pub fn tensor(&self) -> Result<&Tensor> {
        self.table.tensors().map(|(table, _)| table)
    }

    /// `[ids, width]`
    pub fn forward(&self, ids: &[u32]) -> Result<Tensor> {
        self.table.rows(ids)
    }
}

// === impl TiedEmbedding ===

impl TiedEmbedding {
    /// `table`: `[vocabulary, width]`
    pub fn new(table: WeightData, width: usize, context: &ComputeContext) -> Result<Self> {
        Ok(Self { table: Linear::quantizable(&[table], None, width, context)? })
    }

    /// How many tokens there are.
    pub fn vocabulary(&self) -> usize {
        self.table.columns()
    }

    /// `[tokens, width]`
    pub fn forward(&self, tokens: &[u32]) -> Result<Tensor> {
        self.table.rows(tokens)
    }

    /// The table, for a step.
    #[cfg(feature = "cuda")]
    pub fn tensor(&self) -> Result<&Tensor> {
        self.table.tensors().map(|(table, _)| table)
    }

    /// `[rows, width]` → `[rows, vocabulary]`
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.table.forward(hidden, Epilogue::None)
    }
}

/// Sinusoidal positions, `[count, width]` row by row: sines in the first half of each row, cosines in the second, of
/// wavelengths from 2π to 10 000 · 2π.
pub fn sinusoids(count: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let step = 10_000f64.ln() / (half.max(2) - 1) as f64;
    let angle = move |position: usize, at: usize| position as f64 * (-step * at as f64).exp();
    let row = move |position: usize| {
        let sines = (0..half).map(move |at| angle(position, at).sin() as f32);
        sines.chain((0..width - half).map(move |at| angle(position, at).cos() as f32))
    };
    (0..count).flat_map(row).collect()
}
