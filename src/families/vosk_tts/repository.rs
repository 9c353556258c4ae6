//! Which files a model needs.

use crate::model::LoadError;

/// The one part.
pub const PART: &str = "model";
pub const NETWORK: &str = "model.onnx";
pub const CONFIG: &str = "config.json";
pub const DICTIONARY: &str = "dictionary";
/// Together, or none of them.
pub const VOCABULARY: &str = "bert/vocab.txt";
pub const BERT: &str = "bert/model.onnx";

/// Of those in a repository.
pub fn files(listing: &[String]) -> Result<Vec<String>, LoadError> {
    let has = |file: &str| listing.iter().any(|known| known == file);
    let missing = |file: &str| LoadError::Missing(file.to_owned());
    let mut needed = vec![NETWORK, CONFIG, DICTIONARY];
    if has(VOCABULARY) || has(BERT) {
        needed.extend([VOCABULARY, BERT]);
    }
    match needed.iter().find(|file| !has(file)) {
        Some(file) => Err(missing(file)),
        None => Ok(needed.into_iter().map(str::to_owned).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_a_network_a_dictionary_and_mostly_a_bert() {
        let of = |listing: &[&str]| {
            let listing: Vec<String> = listing.iter().map(|&file| file.to_owned()).collect();
            files(&listing).map(|files| files.join(" ")).map_err(|error| error.to_string())
        };
        let whole = ["README.md", NETWORK, CONFIG, DICTIONARY, VOCABULARY, BERT];
        assert_eq!(of(&whole).unwrap(), "model.onnx config.json dictionary bert/vocab.txt bert/model.onnx");
        assert_eq!(of(&whole[..4]).unwrap(), "model.onnx config.json dictionary");
        for missing in &whole[1..] {
            let rest: Vec<&str> = whole.iter().copied().filter(|file| file != missing).collect();
            assert_eq!(of(&rest).unwrap_err(), format!("the file {missing} is missing"));
        }
    }
}
