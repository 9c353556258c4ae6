//! Weights: from files to numbers by name, and from those to layers.

pub(super) mod data;
mod loader;
mod measure;
mod quantized_file;
mod safetensors;
mod shards;
mod stored;
mod tensors;
mod torch;
mod weight_norm;

pub use data::WeightData;
pub use loader::{Bias, LayerError, Loaded, Loader};
pub use measure::{WeightSize, header_bytes, measure, measure_some, unneeded};
pub use quantized_file::QuantizedFile;
pub use shards::{INDEX, SINGLE, ShardIndex, listed};
pub use tensors::{WeightError, Weights};
