//! Which files a part of the model needs.

use super::{config, sound, tokens};
use crate::{model::LoadError, nn::weights::listed};

/// What sings: the first stage.
pub const MODEL: &str = "model";
/// What makes all books of the first one, and its tokenizer, which both stages share.
pub const STAGE_2: &str = "stage2";
/// Codes to sound, and back.
pub const CODEC: &str = "codec";

/// What files end with that others quantised.
const GGUF: &str = ".gguf";

/// Of a part, among those of its repository.
pub fn files(part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
    if part == CODEC {
        return sound::files(listing);
    }
    let weights = listed(listing);
    if weights.is_err()
        && let Some(file) = listing.iter().find(|file| file.to_lowercase().ends_with(GGUF))
    {
        return Err(LoadError::Unsupported(quantised_by_others(part, file)));
    }
    let has = |name: &str| listing.iter().any(|file| file == name);
    let need = |name: &str| if has(name) { Ok(name.to_owned()) } else { Err(LoadError::Missing(name.to_owned())) };
    let mut files = vec![need(config::FILE)?];
    match part {
        STAGE_2 => files.push(need(tokens::FILE)?),
        _ if has(config::GENERATION) => files.push(config::GENERATION.to_owned()),
        _ => {}
    }
    files.extend(weights.map_err(LoadError::Missing)?);
    Ok(files)
}

/// Of a file of weights in blocks of ggml's kinds, with names of its own for tensors.
fn quantised_by_others(part: &str, file: &str) -> String {
    format!(
        "its {part} is {file}, and GGUF is not read; the published safetensors would be right, which runtime.dtype = \"q8\" \
         keeps in eight bits on a CPU"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_stage_is_its_configuration_its_weights_and_the_second_has_the_words() {
        let index = "model.safetensors.index.json";
        let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        let listing = names(&["README.md", "config.json", "generation_config.json", index, shards[0], shards[1]]);
        let expected = names(&["config.json", "generation_config.json", index, shards[0], shards[1]]);
        assert_eq!(files(MODEL, &listing).unwrap(), expected);
        let second = names(&["config.json", "model.safetensors", "tokenizer.model"]);
        assert_eq!(files(STAGE_2, &second).unwrap(), names(&["config.json", "tokenizer.model", "model.safetensors"]));
        let missing = |part: &str, listing: &[&str]| files(part, &names(listing)).unwrap_err().to_string();
        assert_eq!(missing(STAGE_2, &["config.json", "model.safetensors"]), "the file tokenizer.model is missing");
        assert_eq!(missing(MODEL, &["model.safetensors"]), "the file config.json is missing");
        assert!(missing(MODEL, &["config.json"]).contains("model.safetensors"));
    }

    #[test]
    fn what_others_quantised_is_refused_by_its_name() {
        let quantised = "YuE-s1-7B-anneal-en-cot-Q8_0.gguf";
        for (part, listing) in [(MODEL, &["README.md", quantised][..]), (STAGE_2, &["config.json", quantised])] {
            let error = files(part, &names(listing)).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(&format!("its {part} is {quantised}, and GGUF is not read")), "{said}");
            assert!(
                said.contains("safetensors would be right") && matches!(error, LoadError::Unsupported(_)),
                "{said}"
            );
        }
        let both = names(&["config.json", "model.safetensors", quantised]);
        assert_eq!(files(MODEL, &both).unwrap(), names(&["config.json", "model.safetensors"]), "it is beside them");
    }
}
