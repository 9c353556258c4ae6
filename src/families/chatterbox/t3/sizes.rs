//! Sizes, which the tensors tell.

use crate::nn::weights::{Loaded, Loader, WeightError};

/// Numbers of a head, in every published model.
pub(super) const HEAD_DIM: usize = 64;

/// How many layers there are: those that have `tensor`.
pub(super) fn count(loader: &Loader<'_>, layers: &str, tensor: &str) -> usize {
    (0..).take_while(|at| loader.weights.has(&format!("{layers}{at}.{tensor}"))).count()
}

/// The rows of a matrix.
pub(super) fn rows(loader: &Loader<'_>, name: &str) -> Loaded<usize> {
    matrix(loader, name).map(|(rows, _)| rows)
}

/// The sizes of a matrix, neither of them 0.
pub(super) fn matrix(loader: &Loader<'_>, name: &str) -> Loaded<(usize, usize)> {
    match loader.weights.shape(name)? {
        &[rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns)),
        other => Err(fault(name, format!("has the shape {other:?}, where a matrix is expected")).into()),
    }
}

pub(super) fn fault(tensor: &str, reason: String) -> WeightError {
    WeightError::Tensor { tensor: tensor.to_owned(), reason }
}

/// `width` must be made of whole heads.
pub(super) fn check_width(name: &str, width: usize) -> Loaded<()> {
    match width.is_multiple_of(HEAD_DIM) {
        true => Ok(()),
        false => Err(fault(name, format!("is {width} wide, where a multiple of {HEAD_DIM} is expected")).into()),
    }
}
