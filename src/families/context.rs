//! From where a model is to live to how its layers compute.

use std::sync::Arc;

use bytes::Bytes;
use candle_core::DType;

use crate::{
    model::{Backing, LoadError, ModelFiles, Placement, Precision},
    nn::{
        ComputeContext,
        weights::{QuantizedFile, unneeded},
    },
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

/// The same, where weights of eight bits are taken from what an earlier load [kept](keep) of these files. A model that shall not
/// depend on files takes none.
pub(super) fn with_kept(
    context: ComputeContext,
    place: &Placement,
    files: &ModelFiles,
    part: &str,
    weights: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<ComputeContext, LoadError> {
    let weights: Vec<_> = weights.into_iter().collect();
    let name = weights.first().map(|first| format!("{}.q8", first.as_ref().replace('/', "--")));
    let may_map = context.q8 && place.weights == Backing::Mapped;
    let derived = name.filter(|_| may_map).and_then(|name| files.derived(part, &name));
    let Some((path, content)) = derived else { return Ok(context) };
    let key = files.fingerprint_of(part, weights.iter().map(AsRef::as_ref))?;
    let file = QuantizedFile::new(path, content, &key);
    Ok(ComputeContext { quantized: Some(Arc::new(file)), ..context })
}

/// Keeps the weights of eight bits that were not kept yet, once all are loaded. Where that fails the next load quantises
/// again.
pub(super) fn keep(context: &ComputeContext) {
    let Some(file) = &context.quantized else { return };
    let path = file.path().display();
    match file.keep() {
        Ok(true) => tracing::info!(%path, "kept the weights of eight bits for the next load"),
        Ok(false) => tracing::debug!(%path, "the weights of eight bits were kept by an earlier load"),
        Err(error) => tracing::warn!(%path, %error, "cannot keep the weights of eight bits; each load quantises anew"),
    }
}

/// A file of weights. Of what was kept of it only little is read.
pub(super) fn weights(
    context: &ComputeContext,
    files: &ModelFiles,
    part: &str,
    name: &str,
    place: &Placement,
) -> Result<Bytes, LoadError> {
    if context.quantized.as_ref().is_some_and(|kept| kept.is_there()) {
        return files.open(part, name);
    }
    // Those that leave their file need no copy of the whole before.
    files.weights(part, name, if context.detached { Backing::Mapped } else { place.weights })
}

/// The same of a file with tensors that are not `needed`, which are not read.
pub(super) fn needed_weights(
    context: &ComputeContext,
    files: &ModelFiles,
    part: &str,
    name: &str,
    place: &Placement,
    needed: impl Fn(&str) -> bool,
) -> Result<Bytes, LoadError> {
    if context.quantized.as_ref().is_some_and(|kept| kept.is_there()) {
        return files.open(part, name);
    }
    let unneeded = unneeded(name, &files.beginning(part, name)?.0, needed);
    let backing = if context.detached { Backing::Mapped } else { place.weights };
    files.weights_without(part, name, backing, &unneeded)
}
