//! Files of a Whisper in formats of other programs, told by their names and fields alone: they are not read here, and whoever
//! brings them is told so.

use serde_json::Value;

use super::twins::twin;

/// A format that is not read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignFormat {
    /// Of faster-whisper.
    CTranslate2,
    /// Of whisper.cpp, with the name of the file.
    Ggml(String),
}

// === impl ForeignFormat ===

impl ForeignFormat {
    /// Of a folder or a repository that has nothing that is read here.
    pub fn of_listing(listing: &[String]) -> Option<Self> {
        if listing.iter().any(|file| file.ends_with(".safetensors") || file.ends_with(".safetensors.index.json")) {
            return None;
        }
        let is_ggml = |file: &&String| file.starts_with("ggml-") && file.ends_with(".bin");
        if let Some(file) = listing.iter().find(is_ggml) {
            return Some(Self::Ggml(file.clone()));
        }
        let has_words = || listing.iter().any(|file| file.starts_with("vocabulary."));
        (listing.iter().any(|file| file == "model.bin") && has_words()).then_some(Self::CTranslate2)
    }

    /// Of a `config.json`. CTranslate2 writes what steers the decoder of a Whisper, and not which kind of model it is.
    pub fn of_config(config: &Value) -> Option<Self> {
        const THEIRS: [&str; 3] = ["suppress_ids", "suppress_ids_begin", "lang_ids"];
        let theirs = config.get("model_type").is_none() && THEIRS.iter().any(|field| config.get(field).is_some());
        theirs.then_some(Self::CTranslate2)
    }

    /// What is wrong, and what would be right for a model that is called so.
    pub fn refusal(&self, name: &str) -> String {
        let (format, named) = match self {
            Self::CTranslate2 => ("its files are in CTranslate2's format (model.bin)".to_owned(), twin(name)),
            Self::Ggml(file) => {
                (format!("{file} is in ggml's format, of whisper.cpp"), twin(file).or_else(|| twin(name)))
            }
        };
        let instead = match named {
            Some(original) => format!("ask for {original}, which has the same weights"),
            None => "the same model in transformers' format, with model.safetensors, would be right".to_owned(),
        };
        format!("{format}, which is not read here; {instead}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(names: &[&str]) -> Option<ForeignFormat> {
        ForeignFormat::of_listing(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_format_is_known_by_the_names_of_its_files() {
        let packed = Some(ForeignFormat::CTranslate2);
        assert_eq!(of(&["README.md", "config.json", "model.bin", "tokenizer.json", "vocabulary.txt"]), packed);
        assert_eq!(of(&["model.bin", "vocabulary.json"]), packed);
        assert_eq!(of(&["model.bin", "vocabulary.json", "model.safetensors"]), None, "what can be read is");
        assert_eq!(of(&["model.bin", "config.json"]), None);
        let ggml = |file: &str| Some(ForeignFormat::Ggml(file.to_owned()));
        assert_eq!(of(&["README.md", "ggml-base.bin", "ggml-tiny.bin"]), ggml("ggml-base.bin"));
        assert_eq!(of(&["ggml-base-encoder.mlmodelc.zip"]), None);
        assert_eq!(of(&["config.json", "model.safetensors"]), None);
    }

    #[test]
    fn ctranslate2_is_known_by_its_configuration() {
        let theirs =
            json!({"alignment_heads": [[1, 0]], "lang_ids": [50259], "suppress_ids": [1], "suppress_ids_begin": [220]});
        assert_eq!(ForeignFormat::of_config(&theirs), Some(ForeignFormat::CTranslate2));
        for other in [json!({"model_type": "whisper", "lang_ids": []}), json!({"model_type": "bert"}), json!([])] {
            assert_eq!(ForeignFormat::of_config(&other), None, "{other}");
        }
    }

    #[test]
    fn a_refusal_names_the_original_where_it_is_known() {
        let said = ForeignFormat::CTranslate2.refusal("Systran/faster-whisper-base");
        assert!(said.contains("CTranslate2") && said.contains("ask for openai/whisper-base,"), "{said}");
        let said = ForeignFormat::CTranslate2.refusal("somebody/whisper-of-mine");
        assert!(said.contains("CTranslate2") && said.contains("model.safetensors"), "{said}");
        let said = ForeignFormat::Ggml("ggml-tiny.en-q5_1.bin".to_owned()).refusal("mine");
        assert!(said.contains("ggml") && said.contains("openai/whisper-tiny.en"), "{said}");
    }
}
