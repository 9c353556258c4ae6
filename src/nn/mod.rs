//! Layers that several families share: weights, linear layers, norms, attention over cached keys and values.
//!
//! Every layer exists in two forms behind one type: on the CPU our own kernels (`simd`, `math`, `columns`, `panels`) work
//! on weights where their file is mapped; on an accelerator the same layer is a few candle operations. [`ComputeContext`] chooses.

mod attention;
mod context;
mod cpu;
mod linear;
mod norm;
mod threads;
mod weights;

pub use attention::{KvCache, KvCacheDtype, SequenceQueries, attend};
pub use context::ComputeContext;
pub use cpu::detect::SimdLevel;
pub use linear::{Epilogue, Linear};
pub use norm::LayerNorm;
pub use threads::Threads;
pub use weights::{WeightData, WeightError, Weights};
