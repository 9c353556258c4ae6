//! Layers that several families share, one a file.
//!
//! Every layer exists in two forms behind one type: on the CPU our own kernels (`cpu`) work on weights where their file is
//! mapped; on an accelerator the same layer is a few candle operations, and what those do badly our own kernels (`gpu`). [`ComputeContext`] chooses.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]
#![deny(unsafe_code)] // what needs it says `allow` and why; `tests/architecture` lists the homes
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod activation;
pub mod attention;
mod audio_encoder;
mod cam_plus_plus;
pub mod codec;
mod context;
mod conv;
mod conv2d;
#[allow(unsafe_code, reason = "vector instructions, and threads that write parts of one buffer")]
mod cpu;
mod embedding;
#[cfg(test)]
mod fixtures;
#[cfg(feature = "cuda")]
#[allow(unsafe_code, reason = "what a kernel is given the compiler cannot check")]
mod gpu;
mod hubert;
mod linear;
pub mod llama;
mod lstm;
mod mamba2;
mod norm;
mod rope;
pub mod sampler;
mod silero_vad;
mod simam;
mod sinc_resample;
mod stft;
mod swiglu;
mod threads;
mod to_rows;
mod transformer;
pub mod weights;

pub use audio_encoder::{AudioEncoder, AudioEncoderConfig};
pub use cam_plus_plus::CamPlusPlus;
pub use context::ComputeContext;
pub use conv::{Conv1d, Conv1dConfig, ConvTranspose1d, ConvTranspose1dConfig, DepthwiseConv1d, DepthwiseConv1dConfig};
pub use conv2d::{Conv2d, Conv2dConfig};
pub use cpu::detect::{CpuKernels, SimdLevel};
pub use embedding::{Embedding, TiedEmbedding, sinusoids};
#[cfg(feature = "cuda")]
pub use gpu::{Frequencies, NormWeights, Residual, StateRow, Step};
pub use hubert::{Hubert, HubertConfig};
pub use linear::{Epilogue, Linear};
pub use lstm::Lstm;
pub use mamba2::{Mamba2, Mamba2Sizes, Mamba2State};
pub use norm::{BatchNorm, LayerNorm, Norm, RmsNorm, ScaleShift};
pub use rope::{LongContext, Pairing, Rope, Rotation};
pub use silero_vad::{SileroState, SileroVad};
pub use simam::simam_add_relu;
pub use sinc_resample::SincResampler;
pub use stft::{InverseMatrixStft, MatrixStft};
pub use swiglu::swiglu;
pub use threads::Threads;
pub use to_rows::to_rows;
pub use transformer::{EPSILON, Mlp, SelfAttention};
