//! Both language models: words to the first book of codes, and that to all of them.
//!
//! [`Stage1`] and [`Stage2`] are weights only. What belongs to a song are their rows: a [`Stage1Row`] sings a section, token by
//! token, and a [`Stage2Row`] refines a block of one track, frame by frame. Any number of rows take a step together, and a row
//! leaves when it is dropped.

mod repair;
mod sampling;
mod stage1;
mod stage2;
#[cfg(test)]
mod tests;

pub use repair::{most_common, repaired};
pub use sampling::SamplingOptions;
pub use stage1::{SectionRequest, Stage1, Stage1Row};
pub use stage2::{Stage2, Stage2Row};

/// Whether the matrix of such a name may be quantised: that of a layer, or the head.
pub fn is_quantized(tensor: &str) -> bool {
    let of_layer = tensor.contains("layers.") && tensor.ends_with("_proj.weight");
    of_layer || tensor == "lm_head.weight"
}
