//! A sentence between its two halves: planned, and not yet decoded.

/// Steps that one symbol may last: 2.5 seconds.
const LONGEST: f32 = 100.0;

/// A sentence that waits to be decoded.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the decoder reads, row by row of a step.
    pub rows: Vec<f32>,
    /// Numbers of a row.
    pub width: usize,
    /// Of each frame in Hz, 0 where there is no voice.
    pub f0: Vec<f32>,
    /// Steps of each symbol.
    pub lengths: Vec<usize>,
}

// === impl Plan ===

impl Plan {
    pub fn steps(&self) -> usize {
        self.rows.len() / self.width
    }
}

/// Steps of each symbol, from `log(1 + steps)` at speed 1.
pub fn lengths(logs: &[f32], speed: f32) -> Vec<usize> {
    logs.iter().map(|log| (log.exp_m1() / speed).round_ties_even().clamp(1.0, LONGEST) as usize).collect()
}
