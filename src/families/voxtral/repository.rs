//! Which files of a repository make a model.

use crate::{model::LoadError, nn::weights};

pub const PART: &str = "model";
pub const CONFIG: &str = "config.json";
pub const GENERATION: &str = "generation_config.json";
pub const VOCABULARY: &str = "tekken.json";

/// The configuration, the vocabulary, and the weights in one file or in shards. `consolidated.safetensors`, which holds
/// the same weights under other names, is left where it is.
pub fn files(listing: &[String]) -> Result<Vec<String>, LoadError> {
    let find = |name: &str| listing.iter().find(|file| *file == name).cloned();
    let needed = |name: &str| find(name).ok_or_else(|| LoadError::Missing(name.to_owned()));
    let mut files = vec![needed(CONFIG)?, needed(VOCABULARY)?];
    files.extend(find(GENERATION));
    files.extend(weights::listed(listing).map_err(LoadError::Missing)?);
    Ok(files)
}
