//! Llama (Touvron et al., arXiv 2302.13971): attention with rotary positions and shared heads of keys, and a gated
//! feed-forward part, each after a root-mean-square norm.
//!
//! A family whose network is one takes it whole ([`Llama`]); one that embeds or ends otherwise takes its layers ([`LlamaStack`]), and
//! one whose layers differ in a part the other parts.

mod attention;
mod joined;
mod layer;
mod mlp;
mod model;
#[cfg(feature = "cuda")]
mod repeating;
mod sequence;
mod stack;
#[cfg(feature = "cuda")]
mod step;
#[cfg(all(test, feature = "cuda"))]
mod tests;

pub use attention::GroupedAttention;
pub use mlp::GatedMlp;
pub use model::Llama;
#[cfg(feature = "cuda")]
pub use repeating::{Repeating, StepInput};
pub use sequence::{HeadShape, Sequence, attend_causally, positions};
pub use stack::{LlamaConfig, LlamaStack};
