//! What lies in a folder.

use bytes::Bytes;

use crate::model::LoadError;

/// The alphabet: symbols and their numbers.
pub const VOCABULARY: &str = "vocab.json";
/// The dictionary: what somebody checked.
pub const GOLD: &str = "lexicon_us_gold.json.gz";
/// The dictionary: what a program made.
pub const SILVER: &str = "lexicon_us_silver.json.gz";

/// The voice inside its package.
const USUAL: &str = "hibari.onnx";
/// Networks that guess how words sound lie beside the voice in its package.
const NO_VOICE: &str = "oov";

/// The contents of a folder.
#[derive(Clone, Debug)]
pub struct Files {
    /// The name of the graph.
    pub voice: String,
    pub graph: Bytes,
    pub vocabulary: Bytes,
    pub gold: Bytes,
    pub silver: Bytes,
}

/// The graph of a voice among the files of a folder: the usual one, or the only one.
///
/// # Errors
/// There is none, or there are several.
pub fn voice(listing: &[String]) -> Result<String, LoadError> {
    let graphs = listing.iter().filter(|file| file.ends_with(".onnx") && !file.contains('/'));
    let voices: Vec<&String> = graphs.filter(|file| !file.starts_with(NO_VOICE)).collect();
    let usual = voices.iter().find(|file| **file == USUAL);
    match (usual, voices.as_slice()) {
        (Some(voice), _) => Ok((**voice).clone()),
        (None, [voice]) => Ok((*voice).clone()),
        (None, []) => Err(LoadError::Missing(USUAL.to_owned())),
        (None, [one, other, ..]) => Err(LoadError::Unsupported(format!(
            "{one} and {other} lie in one folder, where one voice is expected; {USUAL} would be taken before others"
        ))),
    }
}
