//! Models inside this program, so that a bare machine without a network can transcribe and speak.

/// A model whose files are part of this program.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedModel {
    /// As in `embedded:name`.
    pub name: &'static str,
    /// Name and content.
    pub files: &'static [(&'static str, &'static [u8])],
}

/// A file of `assets/models`, with its name.
macro_rules! file {
    ($model:literal, $name:literal) => {
        ($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/", $model, "/", $name)).as_slice())
    };
}

/// Every embedded model. How they were made: `training/`.
pub const EMBEDDED: &[EmbeddedModel] = &[
    EmbeddedModel {
        name: "whisper-nano.en",
        files: &[
            file!("whisper-nano.en", "config.json"),
            file!("whisper-nano.en", "generation_config.json"),
            file!("whisper-nano.en", "model.safetensors"),
            file!("whisper-nano.en", "preprocessor_config.json"),
            file!("whisper-nano.en", "tokenizer.json"),
        ],
    },
    EmbeddedModel {
        name: "lark.en",
        files: &[
            file!("lark.en", "config.json"),
            file!("lark.en", "lexicon.bin"),
            file!("lark.en", "model.safetensors"),
        ],
    },
];

// === impl EmbeddedModel ===

impl EmbeddedModel {
    pub fn file(&self, name: &str) -> Option<&'static [u8]> {
        self.files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
    }

    /// The names of its files.
    pub fn listing(&self) -> Vec<String> {
        self.files.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_model_has_weights_and_a_configuration() {
        for model in EMBEDDED {
            let config: serde_json::Value = serde_json::from_slice(model.file("config.json").unwrap()).unwrap();
            assert!(config["model_type"].is_string(), "{}", model.name);
            let weights = safetensors::SafeTensors::deserialize(model.file("model.safetensors").unwrap()).unwrap();
            assert!(!weights.is_empty(), "{}", model.name);
        }
    }
}
