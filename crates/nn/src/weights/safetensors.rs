//! What `safetensors` writes.

use bytes::Bytes;
use safetensors::{SafeTensorError, SafeTensors};

use super::stored::Stored;

/// Every tensor of a file, as a view of it.
pub fn read(bytes: &Bytes) -> Result<Vec<(String, Stored)>, SafeTensorError> {
    let content = SafeTensors::deserialize(bytes)?;
    let stored = |view: safetensors::tensor::TensorView<'_>| Stored {
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        bytes: bytes.slice_ref(view.data()),
    };
    Ok(content.tensors().into_iter().map(|(name, view)| (name, stored(view))).collect())
}
