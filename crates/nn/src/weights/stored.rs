//! A tensor where it lies.

use bytes::Bytes;
use safetensors::Dtype;

/// A tensor as a file holds it: little-endian, row by row.
#[derive(Clone, Debug)]
pub struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Bytes,
}
