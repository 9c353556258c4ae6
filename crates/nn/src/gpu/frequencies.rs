//! How fast the heads of an attention turn.

use candle_core::{Device, Result, Tensor, cuda_backend::cudarc::driver::DeviceRepr};

use super::number::address;
use crate::rope::Pairing;

/// How fast each pair of numbers of a head turns from one position to the next.
#[derive(Debug)]
pub struct Frequencies {
    /// `[pairs]`
    numbers: Tensor,
    pairing: Pairing,
}

/// `Frequencies` of the kernels.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    numbers: u64,
    neighbours: u32,
}

// SAFETY: numbers only, laid out as C lays them out.
unsafe impl DeviceRepr for Turns {}

// === impl Frequencies ===

impl Frequencies {
    pub fn new(numbers: &[f32], pairing: Pairing, device: &Device) -> Result<Self> {
        Ok(Self { numbers: Tensor::new(numbers, device)?, pairing })
    }

    /// Of heads of so many numbers.
    pub(super) fn turns(&self, head_dim: usize) -> Result<Turns> {
        if self.numbers.dims() != [head_dim / 2] {
            candle_core::bail!("frequencies of {:?} are not those of heads of {head_dim}", self.numbers.shape());
        }
        Ok(Turns { numbers: address(&self.numbers)?, neighbours: u32::from(self.pairing == Pairing::Neighbours) })
    }
}
