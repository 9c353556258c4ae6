//! The files that hold a model's weights, and how much they hold, also where they are still to come.

use std::collections::BTreeSet;

use crate::{
    model::{LoadError, ModelFiles},
    nn::weights::{INDEX, SINGLE, ShardIndex, WeightSize, header_bytes, measure_some},
};

/// One file, or those that the index names.
pub(super) fn names(files: &ModelFiles, part: &str) -> Result<BTreeSet<String>, LoadError> {
    Ok(match files.optional_json::<ShardIndex>(part, INDEX)? {
        Some(index) if !files.has(part, SINGLE) => index.files(),
        _ => [SINGLE.to_owned()].into(),
    })
}

/// What all of them hold under names that are `counted`, from their headers alone.
pub(super) fn size(files: &ModelFiles, part: &str, counted: impl Fn(&str) -> bool) -> Result<WeightSize, LoadError> {
    let mut sum = WeightSize::default();
    for name in names(files, part)? {
        sum = sum.checked_add(size_of_file(files, part, &name, &counted)?).ok_or_else(|| too_large(&name))?;
    }
    Ok(sum)
}

/// Bytes of all of them where matrices whose names are `quantized` are in eight bits.
pub(super) fn q8_bytes(files: &ModelFiles, part: &str, quantized: impl Fn(&str) -> bool) -> Result<u64, LoadError> {
    let mut sum = 0u64;
    for name in names(files, part)? {
        let bytes = q8_bytes_of_file(files, part, &name, &quantized)?;
        sum = sum.checked_add(bytes).ok_or_else(|| too_large(&name))?;
    }
    Ok(sum)
}

/// The same of one file.
pub(super) fn q8_bytes_of_file(
    files: &ModelFiles,
    part: &str,
    name: &str,
    quantized: impl Fn(&str) -> bool,
) -> Result<u64, LoadError> {
    let (all, quantized) = (size_of_file(files, part, name, |_| true)?, size_of_file(files, part, name, quantized)?);
    (all.bytes - quantized.bytes).checked_add(quantized.q8_bytes).ok_or_else(|| too_large(name))
}

/// What one file holds under names that are `counted`.
pub(super) fn size_of_file(
    files: &ModelFiles,
    part: &str,
    name: &str,
    counted: impl Fn(&str) -> bool,
) -> Result<WeightSize, LoadError> {
    let (beginning, size) = files.beginning(part, name)?;
    if header_bytes(&beginning).is_some_and(|header| (beginning.len() as u64) < header && header <= size) {
        return Err(LoadError::Ahead(name.to_owned()));
    }
    Ok(measure_some(name, &beginning, size, counted)?)
}

fn too_large(file: &str) -> LoadError {
    let reason = "its tensors make more bytes than can be counted".to_owned();
    LoadError::Malformed { file: file.to_owned(), reason }
}
