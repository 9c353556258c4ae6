//! Norms, one a file.

mod layer_norm;

pub use layer_norm::LayerNorm;
