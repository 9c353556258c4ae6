//! What a model is made of, and under which terms it lives.

use std::time::Duration;

use crate::{
    model::{Family, PlacementOverrides},
    speech::ModelName,
    store::Source,
};

/// A model that may be brought into memory.
#[derive(Clone)]
pub struct ModelSpec {
    pub name: ModelName,
    pub families: FamilyChoice,
    /// Part name and where its files come from.
    pub parts: Vec<(String, Source)>,
    /// Load at start, in the modes that load at start.
    pub preload: bool,
    /// Never evicted for another.
    pub pinned: bool,
    /// Unload after so long without a request. `None`: the general one.
    pub idle_ttl: Option<Duration>,
    /// Where and how it is to live.
    pub overrides: PlacementOverrides,
}

/// Of which family a model is.
#[derive(Clone, Copy)]
pub enum FamilyChoice {
    Known(&'static dyn Family),
    /// The first that recognises its `config.json`.
    Among(&'static [&'static dyn Family]),
}

// === impl ModelSpec ===

impl ModelSpec {
    /// The revision that it asks for, where its source has such a thing.
    pub(super) fn revision(&self) -> Option<&str> {
        self.parts.iter().find_map(|(_, source)| match source {
            Source::Hub { revision, .. } => Some(revision.as_str()),
            _ => None,
        })
    }

    /// The same model at another revision of its source.
    pub(super) fn at(&self, revision: &str) -> Result<Self, String> {
        let [(part, source)] = self.parts.as_slice() else {
            return Err("its files come from several places; set their revisions in the configuration".to_owned());
        };
        let moved = source.at(revision).map_err(|error| error.to_string())?;
        if moved.to_string() == source.to_string() && self.revision() != Some(revision) {
            return Err(format!("{source} has no revisions"));
        }
        Ok(Self { parts: vec![(part.clone(), moved)], ..self.clone() })
    }

    /// The same version under the terms of another: when it comes and how long it stays.
    pub(super) fn under_terms_of(&self, other: &Self) -> Self {
        Self { preload: other.preload, pinned: other.pinned, idle_ttl: other.idle_ttl, ..self.clone() }
    }

    /// Whether what was loaded for the one serves the other.
    pub(super) fn loads_like(&self, other: &Self) -> bool {
        self.parts == other.parts && self.runs_like(other)
    }

    /// Whether the same files become the same model in memory.
    pub(super) fn runs_like(&self, other: &Self) -> bool {
        self.families.name() == other.families.name() && self.overrides == other.overrides
    }
}

// === impl FamilyChoice ===

impl FamilyChoice {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Known(family) => Some(family.name()),
            Self::Among(_) => None,
        }
    }
}
