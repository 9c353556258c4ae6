//! Norms, one a file.

pub(super) mod layer_norm;

pub use layer_norm::LayerNorm;
