//! From where a model is to live to how its layers compute.

use crate::{
    model::{Backing, Placement, Precision},
    nn::ComputeContext,
};

/// For the networks of a model that are quantised where it is.
pub(super) fn quantized(place: &Placement) -> ComputeContext {
    let context = exact(place);
    if place.dtype == Precision::Q8 { context.with_q8() } else { context }
}

/// For those that are not.
pub(super) fn exact(place: &Placement) -> ComputeContext {
    ComputeContext::new(&place.device, place.dtype.dtype())
}

/// What is behind the weights of a file while they are loaded: those that leave it need no copy of the whole before.
pub(super) fn backing(context: &ComputeContext, place: &Placement) -> Backing {
    if context.detached { Backing::Mapped } else { place.weights }
}
