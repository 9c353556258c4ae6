//! Sizes, which the tensors tell.

use crate::nn::weights::{LayerError, Loaded, Loader, WeightError};

/// The sizes of a tensor of so many dimensions. None of them is 0.
pub fn sizes<const N: usize>(loader: &Loader<'_>, tensor: &str) -> Loaded<[usize; N]> {
    let shape = loader.weights.shape(tensor)?;
    match <[usize; N]>::try_from(shape) {
        Ok(sizes) if !sizes.contains(&0) => Ok(sizes),
        _ => Err(fault(tensor.to_owned(), format!("has the shape {shape:?}, where {N} sizes above 0 are expected"))),
    }
}

/// How many blocks there are: `weight` names a tensor of the first, the second and so on.
pub fn count(loader: &Loader<'_>, weight: impl Fn(usize) -> String) -> usize {
    (0..).take_while(|&at| loader.weights.has(&weight(at))).count()
}

/// `reason` reads well after the tensor's name.
pub fn fault(tensor: String, reason: String) -> LayerError {
    WeightError::Tensor { tensor, reason }.into()
}
