//! The network: text and codes in, codes out.
//!
//! A Llama whose layers have two feed-forward parts: rows of text go through one, rows of sound through the other, and all attend
//! to each other. A row of sound is the sum of what the codes of its books stand for, each book a column later than the one before.
//!
//! [`HiggsNet`] is weights only. What belongs to a request is a [`HiggsRow`]: it comes from [`HiggsNet::admit`], any number of rows
//! take a [`HiggsNet::step`] together, and a row leaves when it is dropped. What requests have in common before they differ, the
//! scene and the voices, is a [`Prefix`] that may be kept.

mod delay;
mod layer;
mod model;
mod prefix;
mod row;
mod rows;
mod sampling;
#[cfg(feature = "cuda")]
mod step;
#[cfg(test)]
mod tests;

pub use delay::delayed;
pub use model::{HiggsError, HiggsNet, HiggsRequest};
pub use prefix::{Prefix, PrefixCache};
pub use row::{CodeIds, HiggsRow};
pub use rows::Segment;
pub use sampling::SamplingOptions;

/// Whether the matrix of such a name may be quantised, in either layout: that of a layer, and of no table.
pub fn is_quantized(tensor: &str) -> bool {
    let of_layer = tensor.contains("layers.") && tensor.ends_with("_proj.weight");
    of_layer || tensor.ends_with("audio_lm_head.weight")
}
