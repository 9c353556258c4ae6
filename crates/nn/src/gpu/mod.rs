//! Our own kernels for NVIDIA GPUs: what candle's operations do row by row, or in many launches. What is not here, or does not
//! fit, they do as before. `tests/cuda` runs the same source on a CPU.
//!
//! A decoder's step of one token for every row is made of these alone ([`Step`]), and repeated as a graph ([`Steps`]).

mod decode;
mod division;
mod frequencies;
mod memory;
mod number;
mod product;
mod sample;
mod staging;
mod state_space;
mod step;
mod steps;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use decode::{CacheRow, CacheSizes, ROWS, attend, extend, finish};
pub use frequencies::Frequencies;
pub(crate) use number::to_host;
pub(crate) use sample::Workspace;
pub(crate) use staging::upload;
pub use state_space::StateSpaceInputs;
pub use step::{NormWeights, Residual, Step};
pub(crate) use steps::Steps;
pub use table::StateRow;
pub(crate) use table::StepTable;
