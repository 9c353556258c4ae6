//! Layers over the same input.

use crate::{
    linear::Linear,
    weights::{Loaded, Loader},
};

/// Several layers without biases over the same input as one; name and columns of each.
pub(super) fn joined(loader: &mut Loader<'_>, of: &str, layers: &[(&str, usize)], depth: usize) -> Loaded<Linear> {
    let view = |(name, columns): &(&str, usize)| {
        Ok(loader.weights.view(&format!("{of}.{name}.weight"), &[*columns, depth])?)
    };
    let weights = layers.iter().map(view).collect::<Loaded<Vec<_>>>()?;
    Ok(Linear::quantizable(&weights, None, depth, loader.context)?)
}
