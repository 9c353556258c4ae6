//! Names and aliases of models: what there is, of which family, from where, and whether this build can serve it.
//!
//! The presets of every family, changed and added to by the configuration. A name is looked up without regard to case,
//! with or without its organisation; several names for one source are one [`Entry`], so that a model is never loaded
//! twice.

mod build;
mod config;
mod entry;
mod error;
mod fallback;
mod names;
mod parts;

pub use config::{Config, ModelConfig};
pub use entry::Entry;
pub use error::{CatalogError, Unknown};

use self::{build::Builder, names::Names};
use crate::{
    model::{Availability, Family},
    speech::TaskKind,
};

/// Every model that can be asked for. Never changes: another configuration makes another catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    families: &'static [&'static dyn Family],
    entries: Vec<Entry>,
    names: Names,
    default: usize,
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

    /// The model of that name. Where there is no name, or one that OpenAI calls its own models for such a task by, the
    /// default model of the task.
    pub fn resolve_for(&self, name: Option<&str>, task: TaskKind) -> Result<&Entry, Unknown> {
        match name {
            Some(name) if self.names.get(name).is_some() || !names::is_openai(name, task) => self.resolve(Some(name)),
            _ => Ok(self.default_for(task)),
        }
    }

    /// The default model if it does the task; else the first that does, of those that the configuration names, or of
    /// those inside this program. A model whose family is found only when it is loaded is taken to hear: that is what the
    /// default model is for, unless its family says otherwise.
    pub fn default_for(&self, task: TaskKind) -> &Entry {
        let hears = task == TaskKind::Transcribe;
        let does = |entry: &&Entry| entry.tasks().map_or(hears, |tasks| tasks.contains(&task));
        self.at_hand().find(does).unwrap_or_else(|| self.default())
    }

    /// Names of OpenAI's models that a small model inside this program answers for, with that model: nobody named a
    /// better one.
    pub fn stand_ins(&self) -> impl Iterator<Item = (&'static str, &Entry)> {
        let asked = [TaskKind::Transcribe, TaskKind::Synthesize].into_iter().zip(names::OPENAI);
        let meant = asked.filter_map(|(task, name)| Some((name, self.resolve_for(Some(name), task).ok()?)));
        meant.filter(|(_, entry)| entry.is_embedded())
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

    /// Those, and the ones inside this program.
    pub fn at_hand(&self) -> impl Iterator<Item = &Entry> {
        let inside = |&(place, entry): &(usize, &Entry)| entry.is_embedded() && !entry.listed && place != self.default;
        self.listed().chain(self.entries.iter().enumerate().filter(inside).map(|(_, entry)| entry))
    }
}

#[cfg(test)]
mod tests;
