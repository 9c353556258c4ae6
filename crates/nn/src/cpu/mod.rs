//! Kernels of our own for the CPU.

pub mod activation;
pub mod attention;
pub mod bytes;
pub mod columns;
pub mod depthwise;
pub mod detect;
pub mod element;
pub mod epilogue;
pub mod frames;
pub mod kv_panels;
pub mod math;
pub mod matrix;
pub mod narrow;
#[cfg(target_arch = "x86_64")]
pub mod pairs;
pub mod panel_matrix;
pub mod panels;
pub mod product;
pub mod q8;
pub mod relative;
pub mod simam;
pub mod simd;
pub mod ssm;
mod tasks;
#[cfg(target_arch = "x86_64")]
pub mod tiles;
