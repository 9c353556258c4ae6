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

/// What the configuration says of a model.
#[derive(Clone, Debug, Default)]
pub(super) struct ConfiguredParts {
    /// Nothing, one source, or one for each part.
    pub parts: Parts,
    /// Parts that it has beside those, whoever says which those are.
    pub optional: Parts,
}

/// What the configuration says of a model, or everything that is wrong with that.
pub(super) fn said(model: &ModelConfig, families: &[&dyn Family]) -> Result<ConfiguredParts, Vec<CatalogError>> {
    let (mut said, mut faults) = (ConfiguredParts::default(), Vec::new());
    let name = || model.name.clone();
    let of_layout = model.parts.keys().filter(|part| !is_optional(part, families)).cloned().collect::<Vec<_>>();
    if model.source.is_some() && !of_layout.is_empty() {
        faults.push(CatalogError::SourceAndParts { model: name(), parts: of_layout });
    }
    match model.source.as_ref().map(|source| source.parse()) {
        Some(Ok(source)) => said.parts = whole(source),
        Some(Err(source)) => faults.push(CatalogError::Source { model: name(), source }),
        None => {}
    }
    for (part, source) in &model.parts {
        match source.parse() {
            Ok(source) if is_optional(part, families) => said.optional.push((part.clone(), source)),
            Ok(source) => said.parts.push((part.clone(), source)),
            Err(source) => faults.push(CatalogError::PartSource { model: name(), part: part.clone(), source }),
        }
    }
    if faults.is_empty() { Ok(said) } else { Err(faults) }
}

fn is_optional(part: &str, families: &[&dyn Family]) -> bool {
    families.iter().any(|family| family.optional_parts().contains(&part))
}

/// Puts parts into the order of the layout that they make, what is optional after it; `false` if they make none.
pub(super) fn arrange(parts: &mut Parts, families: &[&dyn Family]) -> bool {
    let position = |layout: &[&str], part: &str| layout.iter().position(|known| *known == part);
    let makes = |(layout, optional): &(&[&str], &[&str])| {
        let there = |known: &&str| parts.iter().any(|(part, _)| part == known);
        let known = |part: &str| layout.contains(&part) || optional.contains(&part);
        layout.iter().all(there) && parts.iter().all(|(part, _)| known(part))
    };
    let of_family = |family: &&dyn Family| {
        let optional = family.optional_parts();
        family.layouts().iter().map(move |layout| (*layout, optional))
    };
    let layout = families.iter().flat_map(of_family).find(makes);
    if let Some((layout, _)) = layout {
        parts.sort_by_key(|(part, _)| position(layout, part).unwrap_or(layout.len()));
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

/// In a sentence: `a whisper is made of model, or of weights and tokenizer`; `and may have extra beside` where it may.
pub(super) fn made_of(families: &[&dyn Family]) -> String {
    let family = |family: &&dyn Family| {
        let layouts = family.layouts().iter().filter(|layout| !layout.is_empty());
        let layouts: Vec<String> = layouts.map(|layout| layout.join(" and ")).collect();
        let optional = match family.optional_parts() {
            [] => String::new(),
            parts => format!(", and may have {} beside", parts.join(" and ")),
        };
        format!("a {} is made of {}{optional}", family.name(), layouts.join(", or of "))
    };
    let with_parts = families.iter().filter(|family| family.layouts().iter().any(|layout| !layout.is_empty()));
    with_parts.map(family).collect::<Vec<_>>().join("; ")
}
