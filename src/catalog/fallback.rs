//! Whether models that are to speak in the place of others can.

use super::{CatalogError, Entry};
use crate::{model::Family, speech::TaskKind};

/// What is wrong with the fallbacks of these models.
pub(super) fn faults(entries: &[Entry]) -> Vec<CatalogError> {
    entries.iter().filter(|entry| entry.fallback.is_some()).filter_map(|entry| fault(entries, entry)).collect()
}

fn fault(entries: &[Entry], entry: &Entry) -> Option<CatalogError> {
    let model = entry.name.to_string();
    if !may_speak(entry) {
        return Some(CatalogError::NothingToFallBack { model });
    }
    let mut chain = vec![entry];
    while let Some(next) = next(entries, chain[chain.len() - 1]) {
        if !may_speak(next) {
            // Further along it is told of the model that names it.
            return (chain.len() == 1).then(|| CatalogError::MuteFallback { model, fallback: next.name.to_string() });
        }
        let known = chain.iter().position(|known| known.name == next.name);
        chain.push(next);
        match known {
            Some(0) => {
                let chain = chain.iter().map(|entry| entry.name.to_string()).collect();
                return Some(CatalogError::FallbackCircle { model, chain });
            }
            // A circle of others, which they tell.
            Some(_) => return None,
            None => {}
        }
    }
    None
}

/// The model that speaks in the place of one.
fn next<'a>(entries: &'a [Entry], entry: &Entry) -> Option<&'a Entry> {
    let name = entry.fallback.as_ref()?;
    entries.iter().find(|other| other.name == *name)
}

/// One whose family is found only when it is loaded may.
fn may_speak(entry: &Entry) -> bool {
    let speaks = |family: &dyn Family| family.tasks().contains(&TaskKind::Synthesize);
    entry.family.is_none_or(speaks)
}
