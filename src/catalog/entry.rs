//! One model of the catalog.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    model::{Availability, Family, OwnVoice, PlacementOverrides, ProgramFacts, ProgramVoice},
    speech::{ModelName, TaskKind},
    store::Source,
};

/// A model that can be asked for.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: ModelName,
    /// Other names that were given to it; it also answers to its name without the organisation.
    pub aliases: Vec<String>,
    /// A name without `/`, unique, for path segments and labels.
    pub slug: String,
    /// `None`: `Family::recognises` finds it by the model's `config.json`.
    pub family: Option<&'static dyn Family>,
    /// Part → source, in the order of the layout of the family that they make. Most models have the one part `model`; one
    /// that a program speaks has none.
    pub parts: Vec<(String, Source)>,
    pub availability: Availability,
    /// The program of another project that it runs, where it runs one and the configuration names it.
    pub program: Option<Arc<ProgramFacts>>,
    /// Of the weights, where it is known.
    pub licence: Option<&'static str>,
    /// Parameters in millions, where that is known.
    pub million_parameters: Option<u32>,
    /// Whether the configuration names it, or it is the default.
    pub listed: bool,
    /// Load at start, in the modes that load at start.
    pub preload: bool,
    /// Never evicted.
    pub pinned: bool,
    /// Unload after so long without a request. `None`: the general setting.
    pub idle_ttl: Option<Duration>,
    /// What is fetched of it goes there. `None`: where everything goes.
    pub cache_dir: Option<PathBuf>,
    /// A known model that may have been meant: nothing but the name says where this one is, and it is almost that one's.
    pub almost: Option<ModelName>,
    /// The model that speaks in its place as long as it cannot be loaded.
    pub fallback: Option<ModelName>,
    /// Where and how it is to live, where that is not as in general.
    pub overrides: PlacementOverrides,
}

// === impl Entry ===

impl Entry {
    /// The name without its organisation.
    pub(super) fn short(&self) -> &str {
        self.name.as_str().rsplit('/').next().unwrap_or(self.name.as_str())
    }

    /// `None`: as long as its family is not known, it may do anything.
    pub fn tasks(&self) -> Option<&'static [TaskKind]> {
        let parts: Vec<&str> = self.parts.iter().map(|(part, _)| part.as_str()).collect();
        self.family.map(|family| family.tasks_of(&parts))
    }

    /// Whether it is known to.
    pub fn does(&self, task: TaskKind) -> bool {
        self.tasks().is_some_and(|tasks| tasks.contains(&task))
    }

    /// Whether all of it is inside this program.
    pub fn is_embedded(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(|(_, source)| matches!(source, Source::Embedded(_)))
    }

    /// The voices that it has itself, the usual one first; empty where only the loaded model knows them, or there are none.
    pub fn own_voices(&self) -> Vec<OwnVoice<'_>> {
        match self.speaks_by() {
            Some(program) => program.voices.iter().map(|voice| of_program(voice, program.sample_rate)).collect(),
            None => self.family.map(|family| family.voices()).unwrap_or_default().to_vec(),
        }
    }

    /// Whether a name is one of its own voices; `None` where only the loaded model knows.
    pub fn has_voice(&self, name: &str) -> Option<bool> {
        match (self.speaks_by(), self.family) {
            (Some(program), _) => Some(program.voice(name).is_some()),
            (None, family) => family.and_then(|family| family.has_voice(name)),
        }
    }

    /// The program whose voices are those of the model, which has no files then. Others only ask theirs how words sound.
    pub fn speaks_by(&self) -> Option<&ProgramFacts> {
        self.program.as_deref().filter(|_| self.parts.is_empty())
    }

    /// The part before the `/` of the name.
    pub(super) fn organisation(&self) -> Option<&str> {
        self.name.as_str().split_once('/').map(|(organisation, _)| organisation)
    }
}

fn of_program(voice: &ProgramVoice, sample_rate: u32) -> OwnVoice<'_> {
    OwnVoice { name: &voice.name, languages: &voice.tags, sample_rate }
}
