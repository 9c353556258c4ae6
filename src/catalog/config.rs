//! What the catalog needs to know.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{
    families::FAMILIES,
    model::{Family, PlacementOverrides, Programs},
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
    /// Whether there is no preset that the configuration does not name. Absent, which is no.
    pub only_configured: Option<bool>,
    /// Where programs that models run are looked for.
    pub programs: Programs,
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
    pub idle_ttl: Option<Duration>,
    /// What is fetched of it goes there. Absent: where everything goes.
    pub cache_dir: Option<PathBuf>,
    /// The model that speaks in its place as long as it cannot be loaded.
    pub fallback: Option<String>,
    /// Where and how it is to live, where that is not as in general.
    pub overrides: PlacementOverrides,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            families: FAMILIES,
            models: Vec::new(),
            default: None,
            only_configured: None,
            programs: Programs::default(),
        }
    }
}
