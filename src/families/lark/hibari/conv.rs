//! A convolution over time, of any odd kernel.

use super::super::{dense::Dense, error::LarkError};
use crate::nn::weights::Weights;

/// Zeros beyond the first and the last row: a linear layer over neighbours side by side.
#[derive(Debug)]
pub struct Conv {
    taps: Dense,
    kernel: usize,
    depth: usize,
}

// === impl Conv ===

impl Conv {
    /// `NAME.weight [columns, kernel · depth]` and `NAME.bias [columns]`.
    pub fn load(
        weights: &mut Weights,
        name: &str,
        depth: usize,
        kernel: usize,
        columns: usize,
    ) -> Result<Self, LarkError> {
        Ok(Self { taps: Dense::load(weights, name, kernel * depth, columns)?, kernel, depth })
    }

    /// Rows to either side that a row's output depends on.
    pub fn reach(&self) -> usize {
        self.kernel / 2
    }

    /// `[rows, depth]` → `[rows, columns]`
    pub fn forward(&self, rows: Vec<f32>) -> Result<Vec<f32>, LarkError> {
        self.taps.forward(self.neighbours(rows))
    }

    /// The same, and GELU of it.
    pub fn forward_gelu(&self, rows: Vec<f32>) -> Result<Vec<f32>, LarkError> {
        self.taps.forward_gelu(self.neighbours(rows))
    }

    fn neighbours(&self, rows: Vec<f32>) -> Vec<f32> {
        if self.kernel == 1 {
            return rows;
        }
        let (count, side, width) = (rows.len() / self.depth, self.reach() * self.depth, self.kernel * self.depth);
        let mut padded = vec![0.0; side];
        padded.extend(rows);
        padded.resize(padded.len() + side, 0.0);
        (0..count).flat_map(|row| &padded[row * self.depth..][..width]).copied().collect()
    }
}
