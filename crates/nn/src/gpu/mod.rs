//! Our own kernels for NVIDIA GPUs: what candle's operations do row by row, or in many launches. What is not here, or does not
//! fit, they do as before. `tests/cuda` runs the same source on a CPU.

mod decode;
mod sample;
#[cfg(test)]
mod tests;

pub(crate) use decode::{CacheRow, CacheSizes, attend, extend, finish};
pub(crate) use sample::Workspace;
