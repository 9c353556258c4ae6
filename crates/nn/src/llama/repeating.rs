//! What stays from one step of the network to the next, where an accelerator repeats it.

use candle_core::{Device, Result, Tensor};
use parking_lot::Mutex;

use crate::{gpu::Steps, rope::Rope};

/// What steps need beside the weights.
#[derive(Debug)]
pub(super) struct Repeating {
    pub steps: Mutex<Steps>,
    /// `[pairs]`
    pub frequencies: Tensor,
}

// === impl Repeating ===

impl Repeating {
    /// `None`: that is no device on which steps are repeated.
    pub fn new(rope: &Rope, device: &Device) -> Result<Option<Self>> {
        let Some(frequencies) = rope.frequencies().filter(|_| device.is_cuda()) else { return Ok(None) };
        Ok(Some(Self { steps: Mutex::new(Steps::new(1)), frequencies: Tensor::new(frequencies, device)? }))
    }
}
