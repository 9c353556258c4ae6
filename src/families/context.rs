//! From where a model is to live to how its layers compute.

use candle_core::DType;

use crate::{
    model::{Backing, Placement, Precision},
    nn::ComputeContext,
};

/// For the networks of a model that are quantised where it is, or computed in `bf16`.
pub(super) fn quantized(place: &Placement) -> ComputeContext {
    let context = exact(place);
    if place.dtype == Precision::Q8 { context.with_q8() } else { context.with_rounded_activations() }
}

/// For those that `bf16` is good enough for where others are quantised.
pub(super) fn halved(place: &Placement) -> ComputeContext {
    let context = exact(place);
    let dtype = if place.dtype == Precision::Q8 { DType::BF16 } else { context.dtype };
    ComputeContext { dtype, ..context }.with_rounded_activations()
}

/// The same with the linear layers quantised, so that `bf16` is for what convolves.
pub(super) fn halved_with_q8(place: &Placement) -> ComputeContext {
    let context = halved(place);
    if place.dtype == Precision::Q8 { context.with_q8() } else { context }
}

/// For those whose activations stay as exact as they are.
pub(super) fn exact(place: &Placement) -> ComputeContext {
    // Beside weights of eight bits the few that stay as they are should not hold the file of all.
    let detached = place.dtype == Precision::Q8;
    ComputeContext { detached, ..ComputeContext::new(&place.device, place.dtype.dtype()) }
}

/// What is behind the weights of a file while they are loaded: those that leave it need no copy of the whole before.
pub(super) fn backing(context: &ComputeContext, place: &Placement) -> Backing {
    if context.detached { Backing::Mapped } else { place.weights }
}
