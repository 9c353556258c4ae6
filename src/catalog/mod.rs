//! Names and aliases of models: what there is, of which family, from where, and whether this build can serve it.
//!
//! The presets of every family, changed and added to by the configuration. A name is looked up without regard to case,
//! with or without its organisation; several names for one source are one [`Entry`], so that a model is never loaded
//! twice.

mod build;
mod entry;
mod error;
mod names;
mod parts;

use std::collections::BTreeMap;

pub use entry::Entry;
pub use error::{CatalogError, Unknown};

use self::{build::Builder, names::Names};
use crate::{
    families::FAMILIES,
    model::{Availability, Family, PlacementOverrides},
};

/// What the catalog needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kinds of models that there are. A program of one's own may have others than [`FAMILIES`].
    pub families: &'static [&'static dyn Family],
    /// Models by configuration, in addition to the presets or changing one of them.
    pub models: Vec<ModelConfig>,
    /// The model of a request that names none. Absent: the embedded one.
    pub default: Option<String>,
}

/// `[models.<name>]` of the configuration file, or one name of `MODEL_ID`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelConfig {
    /// Canonical name or alias of a preset, or a new name.
    pub name: String,
    /// As [`crate::store::Source`] is written; absent: the preset's, or the hub's by the name.
    pub source: Option<String>,
    /// Part → source, in place of the one source, where the files come from several places.
    pub parts: BTreeMap<String, String>,
    /// Absent: the preset's, or found by the model's `config.json`.
    pub family: Option<String>,
    pub aliases: Vec<String>,
    /// Load at start, in the modes that load at start. Absent: only the default model, if no model says `true`.
    pub preload: Option<bool>,
    /// Never evicted.
    pub pinned: bool,
    /// Unload after so long without a request. Absent: the general `idle_ttl`.
    pub idle_ttl: Option<std::time::Duration>,
    /// What is fetched of it goes there. Absent: where everything goes.
    pub cache_dir: Option<std::path::PathBuf>,
    /// Where and how it is to live, where that is not as in general.
    pub overrides: PlacementOverrides,
}

/// Every model that can be asked for. Never changes: another configuration makes another catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    families: &'static [&'static dyn Family],
    entries: Vec<Entry>,
    names: Names,
    default: usize,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self { families: FAMILIES, models: Vec::new(), default: None }
    }
}

// === impl Catalog ===

impl Catalog {
    /// All that is wrong with the configuration is told at once.
    pub fn new(config: &Config) -> Result<Self, Vec<CatalogError>> {
        let families = config.families;
        let mut builder = Builder::new(families);
        for model in &config.models {
            builder.configure(model);
        }
        let (names, default) = builder.finish(config);
        let Builder { entries, faults, .. } = builder;
        if faults.is_empty() { Ok(Self { families, entries, names, default }) } else { Err(faults) }
    }

    /// Marks models that cannot be served for a reason that the catalog does not know: `why` gives it.
    pub fn rule_out(&mut self, why: impl Fn(&Entry) -> Option<String>) {
        for entry in self.entries.iter_mut().filter(|entry| entry.availability == Availability::Available) {
            if let Some(reason) = why(entry) {
                entry.availability = Availability::Unsupported(reason.into());
            }
        }
    }

    /// The model of that name, or the default one.
    pub fn resolve(&self, name: Option<&str>) -> Result<&Entry, Unknown> {
        let Some(asked) = name else { return Ok(self.default()) };
        let place = self.names.get(asked).ok_or_else(|| build::unknown(asked, &self.entries, &self.names))?;
        Ok(&self.entries[place])
    }

    /// Of which the family of an entry is one, also where it is not known yet.
    pub fn families(&self) -> &'static [&'static dyn Family] {
        self.families
    }

    /// Every model, presets first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The model of a request that names none.
    pub fn default(&self) -> &Entry {
        &self.entries[self.default]
    }

    /// The default model and those that the configuration names, the default first.
    pub fn listed(&self) -> impl Iterator<Item = &Entry> {
        let others = self.entries.iter().enumerate().filter(|(place, entry)| entry.listed && *place != self.default);
        std::iter::once(self.default()).chain(others.map(|(_, entry)| entry))
    }
}

#[cfg(test)]
mod tests;
