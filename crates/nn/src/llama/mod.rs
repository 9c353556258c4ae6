//! Llama (Touvron et al., arXiv 2302.13971): attention with rotary positions and shared heads of keys, and a gated
//! feed-forward part, each after a root-mean-square norm.
//!
//! A family whose network is one takes it whole ([`Llama`]); one whose layers differ in a part takes the other parts.

mod attention;
mod joined;
mod layer;
mod mlp;
mod model;
#[cfg(feature = "cuda")]
mod repeating;
mod sequence;
#[cfg(feature = "cuda")]
mod step;
#[cfg(all(test, feature = "cuda"))]
mod tests;

pub use attention::GroupedAttention;
pub use mlp::GatedMlp;
pub use model::{Llama, LlamaConfig};
pub use sequence::{HeadShape, Sequence};
