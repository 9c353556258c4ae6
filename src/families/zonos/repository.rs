//! Which files a part of the model needs.

use super::{config, speaker::SpeakerFiles};
use crate::{model::LoadError, nn::weights::listed};

/// The language model of codes.
pub const MODEL: &str = "model";
/// Codes to sound: the DAC.
pub const CODEC: &str = "codec";
/// What hears voices.
pub const SPEAKER: &str = "speaker";

/// Of a part, among those of its repository.
pub fn files(part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
    if part == SPEAKER {
        return SpeakerFiles::of(listing).map(SpeakerFiles::into_vec);
    }
    if !listing.iter().any(|file| file == config::FILE) {
        return Err(LoadError::Missing(config::FILE.to_owned()));
    }
    let mut files = listed(listing).map_err(LoadError::Missing)?;
    files.insert(0, config::FILE.to_owned());
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_part_is_its_configuration_and_its_weights() {
        let listing = names(&["README.md", "config.json", "model.safetensors"]);
        for part in [MODEL, CODEC] {
            assert_eq!(files(part, &listing).unwrap(), names(&["config.json", "model.safetensors"]));
        }
        let missing = |listing: &[&str]| files(MODEL, &names(listing)).unwrap_err().to_string();
        assert_eq!(missing(&["model.safetensors"]), "the file config.json is missing");
        assert!(missing(&["config.json"]).contains("model.safetensors"));
        assert!(files(SPEAKER, &listing).is_err());
    }
}
