//! What the files say about writing: the vocabulary, the markers of the prompt, and what ends a text.

use serde::Deserialize;

use super::{
    config::Config,
    repository::{GENERATION, PART, VOCABULARY},
    tekken::Tekken,
};
use crate::model::{LoadError, ModelFiles};

/// More ends than any model has.
const MOST_ENDS: usize = 64;

/// All that a transcription has to know of its model.
#[derive(Debug)]
pub struct DecodingConfig {
    pub tekken: Tekken,
    /// `<s>[INST][BEGIN_AUDIO]`, after which the windows come.
    pub opening: [u32; 3],
    end_inst: u32,
    transcribe: u32,
    ends: Vec<u32>,
    /// Mel frames in a window.
    pub frames: usize,
    /// The longest recording, in windows.
    pub longest: usize,
}

/// The part of `generation_config.json` that is of use here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Generation {
    eos_token_id: Option<Ends>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ends {
    One(u32),
    Many(Vec<u32>),
}

// === impl DecodingConfig ===

impl DecodingConfig {
    pub fn read(files: &ModelFiles, config: &Config) -> Result<Self, LoadError> {
        let tekken = Tekken::from_json(&files.open(PART, VOCABULARY)?)?;
        let (tokens, embedded) = (tekken.len(), config.text_config.vocab_size);
        if tokens > embedded {
            let reason = format!("it has {tokens} tokens, and the model {embedded}");
            return Err(LoadError::Malformed { file: VOCABULARY.to_owned(), reason });
        }
        let generation: Generation = files.optional_json(PART, GENERATION)?.unwrap_or_default();
        Ok(Self {
            opening: [tekken.special("<s>")?, tekken.special("[INST]")?, tekken.special("[BEGIN_AUDIO]")?],
            end_inst: tekken.special("[/INST]")?,
            transcribe: tekken.special("[TRANSCRIBE]")?,
            ends: generation.ends(tekken.special("</s>")?)?,
            frames: config.frames(),
            longest: config.longest(),
            tekken,
        })
    }

    /// What comes after the windows: `[/INST]lang:en[TRANSCRIBE]`, without the middle where the language is unknown.
    pub fn closing(&self, language: Option<&str>) -> Result<Vec<u32>, LoadError> {
        let mut tokens = vec![self.end_inst];
        if let Some(language) = language {
            // The vocabulary's pattern cuts before the colon.
            tokens.extend(self.tekken.encode_word("lang")?);
            tokens.extend(self.tekken.encode_word(&format!(":{language}"))?);
        }
        tokens.push(self.transcribe);
        Ok(tokens)
    }

    pub fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }
}

// === impl Generation ===

impl Generation {
    fn ends(self, usual: u32) -> Result<Vec<u32>, LoadError> {
        match self.eos_token_id {
            None => Ok(vec![usual]),
            Some(Ends::One(end)) => Ok(vec![end]),
            Some(Ends::Many(ends)) if (1..=MOST_ENDS).contains(&ends.len()) => Ok(ends),
            Some(Ends::Many(ends)) => Err(LoadError::Malformed {
                file: GENERATION.to_owned(),
                reason: format!("eos_token_id has {} tokens, where 1 to {MOST_ENDS} are expected", ends.len()),
            }),
        }
    }
}
