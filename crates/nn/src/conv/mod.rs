//! Convolutions over time. Sequences are `[frames, channels]`, one at a time, zeros before and after.

mod conv1d;
mod depthwise;
mod transposed;

pub use conv1d::{Conv1d, Conv1dConfig};
pub use depthwise::{DepthwiseConv1d, DepthwiseConv1dConfig};
pub use transposed::{ConvTranspose1d, ConvTranspose1dConfig};
