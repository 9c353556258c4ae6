//! Which files of a repository make a model, or a part of one.

use super::formats::ForeignFormat;
use crate::{
    model::{LoadError, ModelFiles},
    nn::weights,
};

pub const CONFIG: &str = "config.json";
pub const VOCABULARY: &str = "tokenizer.json";
const WELCOME: [&str; 2] = ["generation_config.json", "preprocessor_config.json"];

/// A Whisper is all in one place, or its vocabulary has a place of its own: what is left of a training run often lacks
/// it, and it is that of the model that was trained on.
pub const LAYOUTS: &[&[&str]] = &[&[WHOLE], &[NETWORK, TOKENIZER]];
const WHOLE: &str = "model";
const NETWORK: &str = "weights";
const TOKENIZER: &str = "tokenizer";

/// Which part has what.
pub struct Parts {
    pub network: &'static str,
    pub vocabulary: &'static str,
}

/// The parts of the layout that these files are in.
pub fn parts(files: &ModelFiles) -> Parts {
    match files.has_part(WHOLE) {
        true => Parts { network: WHOLE, vocabulary: WHOLE },
        false => Parts { network: NETWORK, vocabulary: TOKENIZER },
    }
}

/// What a part needs of what its source has. Weights in other formats and precisions, which many repositories hold beside
/// these, are left where they are.
pub fn files(part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
    if let Some(format) = ForeignFormat::of_listing(listing).filter(|_| part != TOKENIZER) {
        return Err(LoadError::Unsupported(format.refusal("")));
    }
    match part {
        WHOLE => Ok([network(listing)?, vocabulary(listing)?].concat()),
        NETWORK => network(listing),
        TOKENIZER => vocabulary(listing),
        _ => Err(LoadError::Unsupported(format!("Whisper has no part called {part}"))),
    }
}

/// The configuration, and the weights in one file or in shards.
fn network(listing: &[String]) -> Result<Vec<String>, LoadError> {
    let has = |name: &str| listing.iter().any(|file| file == name);
    let mut files = vec![needed(listing, CONFIG)?];
    files.extend(WELCOME.into_iter().filter(|name| has(name)).map(str::to_owned));
    files.extend(weights::listed(listing).map_err(LoadError::Missing)?);
    Ok(files)
}

fn vocabulary(listing: &[String]) -> Result<Vec<String>, LoadError> {
    needed(listing, VOCABULARY).map(|file| vec![file])
}

fn needed(listing: &[String], name: &str) -> Result<String, LoadError> {
    listing.iter().find(|file| *file == name).cloned().ok_or_else(|| LoadError::Missing(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Result<Vec<String>, String> {
        of_part("model", names)
    }

    fn of_part(part: &str, names: &[&str]) -> Result<Vec<String>, String> {
        let listing: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        files(part, &listing).map_err(|error| error.to_string())
    }

    #[test]
    fn one_file_of_weights_is_preferred_and_other_formats_are_left() {
        let all = [
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "generation_config.json",
            "model.fp32-00001-of-00002.safetensors",
            "model.safetensors",
            "model.safetensors.index.fp32.json",
            "preprocessor_config.json",
            "pytorch_model.bin",
            "tokenizer.json",
            "vocab.json",
        ];
        let expected = [
            "config.json",
            "generation_config.json",
            "preprocessor_config.json",
            "model.safetensors",
            "tokenizer.json",
        ];
        assert_eq!(listed(&all).unwrap(), expected);
    }

    #[test]
    fn shards_come_with_their_index() {
        let index = "model.safetensors.index.json";
        let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
        let got = listed(&["config.json", "tokenizer.json", two, one, index]).unwrap();
        assert_eq!(got, ["config.json", index, one, two, "tokenizer.json"]);
        let error = listed(&["config.json", "tokenizer.json", two, index]).unwrap_err();
        assert!(error.contains(one), "{error}");
    }

    #[test]
    fn the_vocabulary_may_lie_elsewhere() {
        let (run, base) =
            (["config.json", "model.safetensors", "trainer_state.json"], ["config.json", "tokenizer.json"]);
        assert_eq!(of_part("weights", &run).unwrap(), ["config.json", "model.safetensors"]);
        assert_eq!(of_part("tokenizer", &base).unwrap(), ["tokenizer.json"]);
        assert!(of_part("tokenizer", &run).unwrap_err().contains("tokenizer.json"));
        assert!(of_part("codec", &base).unwrap_err().contains("no part called codec"));
    }

    #[test]
    fn files_of_other_programs_are_told_by_their_format() {
        let packed = ["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"];
        assert!(listed(&packed).unwrap_err().contains("CTranslate2"));
        assert_eq!(of_part("tokenizer", &packed).unwrap(), ["tokenizer.json"], "which is the same in either format");
        assert!(of_part("weights", &["ggml-base.bin"]).unwrap_err().contains("openai/whisper-base"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (names, missing) in [
            (&["tokenizer.json", "model.safetensors"][..], "config.json"),
            (&["config.json", "model.safetensors"], "tokenizer.json"),
            (&["config.json", "tokenizer.json", "pytorch_model.bin"], "model.safetensors"),
        ] {
            let error = listed(names).unwrap_err();
            assert!(error.contains(missing), "{error}");
        }
    }
}
