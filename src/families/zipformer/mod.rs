//! Zipformer: speech to text by a transducer in ONNX, as icefall exports it; the newer models of Vosk are such, and those of
//! sherpa-onnx.
//!
//! Three networks (`transducer`), which ONNX Runtime computes (`families::onnx`): an encoder hears Kaldi's filter banks, a
//! decoder knows the last symbols, and a joiner says of both which symbol comes next (`search`). Some encoders hear sound as
//! it comes, chunk by chunk (`stream`), the others a window of it at once (`windows`). Symbols become words (`tokens`,
//! `stretch`).

mod options;
mod presets;
mod recogniser;
mod repository;
mod search;
mod stream;
mod stretch;
#[cfg(test)]
mod tests;
mod tokens;
mod transducer;
mod windows;

use serde_json::Value;

use self::{
    recogniser::Recogniser,
    repository::{PART, TransducerFiles},
    tokens::Tokens,
    transducer::{RATE, Transducer},
};
use crate::{
    families::{described::DescribedFamilies, named_language, onnx},
    model::{DeviceId, Family, Knob, LoadError, Model, ModelFiles, NoProgram, Placement, Precision, Preset, Programs},
    speech::TaskKind,
};

/// The family; and the models of it that hear one language.
#[derive(Debug, PartialEq, Eq)]
pub struct Zipformer {
    /// ISO 639-1 code; `None`: nobody said.
    language: Option<&'static str>,
}

static DESCRIBED: DescribedFamilies<Zipformer> = DescribedFamilies::new();

// === impl Zipformer ===

impl Zipformer {
    /// Of files that nobody saw yet.
    pub const ANY: Self = Self { language: None };
}

impl Family for Zipformer {
    fn name(&self) -> &'static str {
        "zipformer"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Transcribe]
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        RATE
    }

    /// Those that hear a window at once guess what it will be while it grows.
    fn hears_live(&self) -> bool {
        true
    }

    fn check_machine(&self, programs: &Programs, thoroughly: bool) -> Result<(), NoProgram> {
        onnx::check_library(programs, thoroughly)
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    fn dtypes(&self, _device: DeviceId) -> &'static [Precision] {
        onnx::DTYPES
    }

    fn presets(&self) -> &'static [Preset] {
        presets::PRESETS
    }

    /// They have none.
    fn recognises(&self, _config: &Value) -> bool {
        false
    }

    fn recognises_files(&self, listing: &[String]) -> bool {
        repository::files(listing).is_ok()
    }

    fn described(
        &self,
        name: &str,
        files: &ModelFiles,
        _programs: &Programs,
    ) -> Result<Option<&'static dyn Family>, LoadError> {
        let listing: Vec<String> = files.names(PART).map(str::to_owned).collect();
        if !self.recognises_files(&listing) {
            return Ok(None);
        }
        let language = named_language::of_name(name).or(self.language);
        Ok(Some(DESCRIBED.find_or_add(|known| known.language == language, || Self { language })?))
    }

    fn files(&self, _part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(listing)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        let found = TransducerFiles::of(files)?;
        let networks = [&found.encoder, &found.decoder, &found.joiner];
        networks
            .into_iter()
            .try_fold(0_u64, |all, file| Ok(all.saturating_add(onnx::footprint(files, PART, file, place)?)))
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let found = TransducerFiles::of(files)?;
        let tokens = Tokens::read(&found.tokens, &files.open(PART, &found.tokens)?)?;
        let mut transducer = Transducer::open(&found, files, place)?;
        let wrong = |file: &str, reason| LoadError::Malformed { file: file.to_owned(), reason };
        let symbols = transducer.symbols().map_err(|error| wrong(&found.joiner, error.to_string()))?;
        if symbols != tokens.len() {
            let reason = format!("it has {} symbols, and the joiner knows {symbols}", tokens.len());
            return Err(wrong(&found.tokens, reason));
        }
        Ok(Box::new(Recogniser { transducer, tokens, language: self.language, max_batch: place.max_batch.max(1) }))
    }
}
