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

/// The files of weights among those of a repository: the single one, or else the index and every shard, as
/// `model-00001-of-00002.safetensors`.
///
/// # Errors
/// The name of the file that is missing.
pub fn listed(listing: &[String]) -> Result<Vec<String>, String> {
    let has = |name: &str| listing.iter().any(|file| file == name);
    if has(SINGLE) {
        return Ok(vec![SINGLE.to_owned()]);
    }
    if !has(INDEX) {
        return Err(format!("{SINGLE} (or {INDEX} with its shards)"));
    }
    let count = listing.iter().find_map(|file| shard_count(file)).unwrap_or(1);
    let names = (1..=count).map(|number| format!("model-{number:05}-of-{count:05}.safetensors"));
    let shards = names.map(|name| if has(&name) { Ok(name) } else { Err(name) });
    std::iter::once(Ok(INDEX.to_owned())).chain(shards).collect()
}

fn shard_count(file: &str) -> Option<u32> {
    let (number, count) = file.strip_prefix("model-")?.strip_suffix(".safetensors")?.split_once("-of-")?;
    number.parse::<u32>().ok()?;
    count.parse().ok().filter(|count| (1..100_000).contains(count))
}

// === impl ShardIndex ===

impl ShardIndex {
    /// The shards, each once.
    pub fn files(self) -> BTreeSet<String> {
        self.weight_map.into_values().collect()
    }
}
