//! Models that no family reads, and whose format one of them knows: they are refused by what they are, and not by a file that
//! other formats do not have.

use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    model::{Family, LoadError},
    store::{Progress, Source, Store},
};

/// Why a model of this name cannot be read, by the names of its files.
pub(super) fn of_files(families: &[&'static dyn Family], name: &str, listing: &[String]) -> Option<String> {
    families.iter().find_map(|family| family.foreign(name, None, listing))
}

/// By its `config.json`.
pub(super) fn of_config(families: &[&'static dyn Family], name: &str, config: &Value) -> Option<String> {
    families.iter().find_map(|family| family.foreign(name, Some(config), &[]))
}

/// By what its source lists, of a model without a configuration that is known.
pub(super) async fn of_source(
    store: &Store,
    families: &[&'static dyn Family],
    name: &str,
    part: &(String, Source),
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Option<String> {
    let found = Mutex::new(None);
    let look = |_: &str, listing: &[String]| {
        *found.lock() = of_files(families, name, listing);
        Err(LoadError::Missing("its configuration".to_owned()))
    };
    // Nothing is to be fetched: whatever comes of it, only the list was wanted.
    drop(store.plan(std::slice::from_ref(part), &look, tell).await);
    found.into_inner()
}
