//! Llama (Touvron et al., arXiv 2302.13971): attention with rotary positions and shared heads of keys, and a gated
//! feed-forward part, each after a root-mean-square norm.
//!
//! A family whose network is one takes it whole ([`Llama`]); one whose layers differ in a part takes the other parts.

mod attention;
mod layer;
mod mlp;
mod model;
mod sequence;

pub use attention::GroupedAttention;
pub use mlp::GatedMlp;
pub use model::{Llama, LlamaConfig};
pub use sequence::{HeadShape, Sequence};

use crate::{
    linear::Linear,
    weights::{Loaded, Loader},
};

/// Several layers without biases over the same input as one; name and columns of each.
fn joined(loader: &mut Loader<'_>, of: &str, layers: &[(&str, usize)], depth: usize) -> Loaded<Linear> {
    let view = |(name, columns): &(&str, usize)| {
        Ok(loader.weights.view(&format!("{of}.{name}.weight"), &[*columns, depth])?)
    };
    let weights = layers.iter().map(view).collect::<Loaded<Vec<_>>>()?;
    Ok(Linear::quantizable(&weights, None, depth, loader.context)?)
}
