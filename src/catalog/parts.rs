//! Which source each part of a model has, as the configuration says it.

use super::{CatalogError, ModelConfig};
use crate::{model::Family, store::Source};

/// The part of a model that is all in one place.
const WHOLE: &str = "model";

/// Part → source.
pub(super) type Parts = Vec<(String, Source)>;

pub(super) fn whole(source: Source) -> Parts {
    vec![(WHOLE.to_owned(), source)]
}

/// What the configuration says of a model: nothing, one source, or one for each part. Or everything that is wrong with
/// that.
pub(super) fn said(model: &ModelConfig) -> Result<Parts, Vec<CatalogError>> {
    let (mut parts, mut faults) = (Parts::new(), Vec::new());
    let name = || model.name.clone();
    if model.source.is_some() && !model.parts.is_empty() {
        let parts = model.parts.keys().cloned().collect();
        faults.push(CatalogError::SourceAndParts { model: name(), parts });
    }
    match model.source.as_ref().map(|source| source.parse()) {
        Some(Ok(source)) => parts = whole(source),
        Some(Err(source)) => faults.push(CatalogError::Source { model: name(), source }),
        None => {}
    }
    for (part, source) in &model.parts {
        match source.parse() {
            Ok(source) => parts.push((part.clone(), source)),
            Err(source) => faults.push(CatalogError::PartSource { model: name(), part: part.clone(), source }),
        }
    }
    if faults.is_empty() { Ok(parts) } else { Err(faults) }
}

/// Puts parts into the order of the layout that they make; `false` if they make none.
pub(super) fn arrange(parts: &mut Parts, families: &[&dyn Family]) -> bool {
    let position = |layout: &[&str], part: &str| layout.iter().position(|known| *known == part);
    let makes = |layout: &&&[&str]| {
        layout.len() == parts.len() && parts.iter().all(|(part, _)| position(layout, part).is_some())
    };
    let layout = families.iter().flat_map(|family| family.layouts()).find(makes);
    if let Some(layout) = layout {
        parts.sort_by_key(|(part, _)| position(layout, part));
    }
    layout.is_some()
}

/// Whether these are the same sources, in whatever order.
pub(super) fn same(one: &Parts, other: &Parts) -> bool {
    one.len() == other.len() && one.iter().all(|part| other.contains(part))
}

/// The source, or each part with its own.
pub(super) fn shown(parts: &Parts) -> String {
    match parts.as_slice() {
        [(part, source)] if part == WHOLE => source.to_string(),
        parts => parts.iter().map(|(part, source)| format!("{part} {source}")).collect::<Vec<_>>().join(", "),
    }
}

/// In a sentence: `a whisper is made of model, or of weights and tokenizer`.
pub(super) fn made_of(families: &[&dyn Family]) -> String {
    let family = |family: &&dyn Family| {
        let layouts: Vec<String> = family.layouts().iter().map(|layout| layout.join(" and ")).collect();
        format!("a {} is made of {}", family.name(), layouts.join(", or of "))
    };
    families.iter().map(family).collect::<Vec<_>>().join("; ")
}
