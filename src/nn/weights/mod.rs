//! Weights: from files to numbers by name.

pub mod data;
mod tensors;

pub use data::WeightData;
pub use tensors::{WeightError, Weights};
