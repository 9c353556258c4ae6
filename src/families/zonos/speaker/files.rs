//! Which files of a repository make the encoder.

use crate::model::LoadError;

/// As they are published, and as somebody may have written them anew.
const NETWORK: [&str; 2] = ["ResNet293_SimAM_ASP_base.safetensors", "ResNet293_SimAM_ASP_base.pt"];
const LDA: [&str; 2] = ["ResNet293_SimAM_ASP_base_LDA-128.safetensors", "ResNet293_SimAM_ASP_base_LDA-128.pt"];

/// The files of the encoder, by what they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerFiles {
    pub network: String,
    pub lda: String,
}

// === impl SpeakerFiles ===

impl SpeakerFiles {
    /// Of those that a repository has. Safetensors are taken before PyTorch's.
    pub fn of(listing: &[String]) -> Result<Self, LoadError> {
        let first = |names: [&str; 2]| {
            let found = names.into_iter().find(|name| listing.iter().any(|listed| listed == name));
            found.map(str::to_owned).ok_or_else(|| LoadError::Missing(names[1].to_owned()))
        };
        Ok(Self { network: first(NETWORK)?, lda: first(LDA)? })
    }

    pub fn into_vec(self) -> Vec<String> {
        vec![self.network, self.lda]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_needed_and_safetensors_are_preferred() {
        let of = |files: &[&str]| SpeakerFiles::of(&files.iter().map(|&file| file.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["README.md", NETWORK[1], LDA[1]]).unwrap().into_vec(), [NETWORK[1], LDA[1]]);
        assert_eq!(of(&[NETWORK[1], LDA[1], NETWORK[0]]).unwrap().into_vec(), [NETWORK[0], LDA[1]]);
        let missing = |files: &[&str]| of(files).unwrap_err().to_string();
        assert_eq!(missing(&[NETWORK[0]]), format!("the file {} is missing", LDA[1]));
        assert_eq!(missing(&[LDA[0]]), format!("the file {} is missing", NETWORK[1]));
    }
}
