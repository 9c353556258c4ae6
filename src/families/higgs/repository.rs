//! Which files a part of the model needs.

use super::config;
use crate::{
    model::{LoadError, ModelFiles},
    nn::weights::listed,
};

/// The language model.
pub const MODEL: &str = "model";
/// Sound to codes and back.
pub const CODEC: &str = "codec";

/// Of its words.
pub const TOKENIZER: &str = "tokenizer.json";
/// The codec's weights in Boson's own layout.
const BOSON_CODEC: &str = "model.pth";

/// Of a part, among those of its repository.
pub fn files(part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
    let has = |name: &str| listing.iter().any(|file| file == name);
    let need = |name: &str| if has(name) { Ok(name.to_owned()) } else { Err(LoadError::Missing(name.to_owned())) };
    let mut files = vec![need(config::FILE)?];
    if part == CODEC {
        match listed(listing) {
            Ok(weights) => files.extend(weights),
            Err(_) if has(BOSON_CODEC) => files.push(BOSON_CODEC.to_owned()),
            Err(missing) => return Err(LoadError::Missing(missing)),
        }
        return Ok(files);
    }
    files.push(need(TOKENIZER)?);
    files.extend(listed(listing).map_err(LoadError::Missing)?);
    Ok(files)
}

/// The files that hold the codec's weights.
pub fn codec_weights(files: &ModelFiles) -> Result<Vec<String>, LoadError> {
    if files.has(CODEC, BOSON_CODEC) {
        return Ok(vec![BOSON_CODEC.to_owned()]);
    }
    Ok(crate::families::weight_files::names(files, CODEC)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_part_is_its_configuration_its_words_and_its_weights() {
        let listing =
            names(&["README.md", "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"]);
        assert_eq!(files(MODEL, &listing).unwrap(), names(&["config.json", "tokenizer.json", "model.safetensors"]));
        assert_eq!(files(CODEC, &listing).unwrap(), names(&["config.json", "model.safetensors"]));
        let boson = names(&["config.json", "model.pth"]);
        assert_eq!(files(CODEC, &boson).unwrap(), boson);
        let missing = |part: &str, listing: &[&str]| files(part, &names(listing)).unwrap_err().to_string();
        assert_eq!(missing(MODEL, &["config.json", "model.safetensors"]), "the file tokenizer.json is missing");
        assert_eq!(missing(CODEC, &["model.pth"]), "the file config.json is missing");
        assert!(missing(CODEC, &["config.json"]).contains("model.safetensors"));
    }
}
