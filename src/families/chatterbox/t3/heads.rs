//! What no tensor tells.

use crate::nn::{
    llama::HeadShape,
    weights::{Loaded, WeightError},
};

/// Numbers of a head, in every published model.
const HEAD_DIM: usize = 64;

/// Of either backbone: none of its heads shares keys.
pub(super) fn shape(width: usize) -> HeadShape {
    HeadShape { heads: width / HEAD_DIM, shared: width / HEAD_DIM, head_dim: HEAD_DIM }
}

/// `width` must be made of whole heads.
pub(super) fn check_width(name: &str, width: usize) -> Loaded<()> {
    match width.is_multiple_of(HEAD_DIM) {
        true => Ok(()),
        false => {
            let reason = format!("is {width} wide, where a multiple of {HEAD_DIM} is expected");
            Err(WeightError::tensor(name, reason).into())
        }
    }
}
