//! Which files hold the weights of a model on the hub: one, or shards under an index.

use std::collections::{BTreeMap, BTreeSet};

/// All weights in one file.
pub const SINGLE: &str = "model.safetensors";

/// Names the shards.
pub const INDEX: &str = "model.safetensors.index.json";

/// The content of [`INDEX`].
#[derive(Debug, serde::Deserialize)]
pub struct ShardIndex {
    /// Tensor to file.
    weight_map: BTreeMap<String, String>,
}

// === impl ShardIndex ===

impl ShardIndex {
    /// The shards, each once.
    pub fn files(self) -> BTreeSet<String> {
        self.weight_map.into_values().collect()
    }
}
