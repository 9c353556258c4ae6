//! Norms, one a file.

mod batch_norm;
mod either;
pub(super) mod layer_norm;
pub(super) mod rms_norm;

pub use batch_norm::{BatchNorm, ScaleShift};
pub use either::Norm;
pub use layer_norm::LayerNorm;
pub use rms_norm::RmsNorm;
