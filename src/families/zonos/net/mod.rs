//! The network: phonemes and conditions in, codes of sound out.
//!
//! A decoder-only network, a transformer or a hybrid of attention and state-space layers, reads a prefix that every condition
//! has a vector in, and writes the codes of all books frame by frame, each book a column later than the one before.
//!
//! [`CodeModel`] is weights only. What belongs to a request is a [`CodeRow`]: it comes from [`CodeModel::admit`], any number of
//! rows take a [`CodeModel::step`] together, and a row leaves when it is dropped.

mod backbone;
mod code_model;
mod conditioning;
mod delay;
mod row;
mod sampling;
mod sequence;
#[cfg(feature = "cuda")]
mod step;
#[cfg(test)]
mod tests;

pub use code_model::{CodeError, CodeModel, CodeRequest};
pub use conditioning::{ConditionRange, Conditions, SPEAKER};
pub use row::CodeRow;
pub use sampling::SamplingOptions;

/// Whether the matrix of such a name may be quantised: that of a layer, and of no table.
pub fn is_quantized(tensor: &str) -> bool {
    let matrices = [".in_proj.", ".out_proj.", ".fc1.", ".fc2."];
    tensor.starts_with("heads.") || matrices.iter().any(|of| tensor.contains(of))
}
