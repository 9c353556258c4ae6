//! What the shapes of tensors tell.

use crate::nn::weights::{Loaded, WeightError, Weights};

/// Names under which a convolution's kernel may be stored: as it is, or as direction beside a gain (weight norm).
const KERNELS: [&str; 3] = ["weight", "parametrizations.weight.original1", "weight_v"];

/// The three sizes of a convolution's kernel, none of them 0; `name` without `.weight`.
pub fn kernel_shape(weights: &Weights, name: &str) -> Loaded<[usize; 3]> {
    let names = KERNELS.map(|kernel| format!("{name}.{kernel}"));
    let stored = names.iter().find(|name| weights.has(name)).unwrap_or(&names[0]);
    match *weights.shape(stored)? {
        [a, b, c] if ![a, b, c].contains(&0) => Ok([a, b, c]),
        ref other => {
            Err(fault(stored, format!("has the shape {other:?}, where the kernel of a convolution is expected")))
        }
    }
}

/// How many of `name.0`, `name.1`, … are there, by `part` of each.
pub fn count(weights: &Weights, name: &str, part: &str) -> usize {
    (0..).take_while(|at| weights.has(&format!("{name}.{at}.{part}"))).count()
}

pub fn fault<E: From<WeightError>>(tensor: &str, reason: String) -> E {
    WeightError::Tensor { tensor: tensor.to_owned(), reason }.into()
}
