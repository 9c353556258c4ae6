//! What both matrices of a product have in common.

/// Numbers that share a scale.
pub const BLOCK: usize = 32;

/// The largest whole number.
pub const LARGEST: f32 = 127.0;
