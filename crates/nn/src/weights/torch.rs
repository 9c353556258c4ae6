//! What `torch.save` writes (`.pt`, `.pth`, `.bin`), read without running any of it.
//!
//! Such a file is a zip: a pickle says how the tensors are put together, and beside it lies each storage, uncompressed. A
//! pickle is a program; here [`pickle`] knows the few instructions that dictionaries of tensors take and the few names
//! that they call, and refuses every other. Tensors are views of the file, so a mapped file stays mapped.
//!
//! Why not candle's `pickle`: it takes lengths from the file before it has seen as many bytes, panics on arguments that are
//! missing, and copies what is remembered, so that a few bytes can grow without end.

mod archive;
mod error;
mod flatten;
mod layout;
mod pickle;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::archive::Archive;
pub use self::error::TorchError;
use super::stored::Stored;

/// Every tensor of a file. Names of nested dictionaries and lists are joined by dots, as in `encoder.layers.0.weight`; a
/// tensor that is saved alone has the empty name. What is no tensor is left out.
///
/// # Errors
/// For the format before PyTorch 1.6, for TorchScript, and for whatever else is not plain tensors.
pub fn read(bytes: &Bytes) -> Result<Vec<(String, Stored)>, TorchError> {
    let archive = Archive::open(bytes)?;
    let pickle = archive.pickle()?;
    let values = pickle::read(&pickle)?;
    let mut copies = bytes.len();
    let tensors = flatten::tensors(&values)?.into_iter();
    tensors.map(|(name, tensor)| Ok((name, layout::stored(tensor, &archive, &mut copies)?))).collect()
}
