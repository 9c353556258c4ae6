//! What no tensor tells.

use crate::nn::weights::{Loaded, WeightError};

/// Numbers of a head, in every published model.
pub(super) const HEAD_DIM: usize = 64;

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
