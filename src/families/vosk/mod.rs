//! Vosk: speech to text by Kaldi, in small models of one language each, while somebody speaks and without an accelerator.
//!
//! A library of another project computes it (`library`, `api`), which is found on the machine and loaded when the first model
//! needs it; `repository` looks at a model's files before the library does. The `recogniser` gives each request a recognizer
//! of its own, and `answer` reads what that says.

mod answer;
mod api;
mod graph;
mod library;
mod options;
mod presets;
mod recogniser;
mod repository;

use serde_json::Value;

use self::{
    recogniser::Recogniser,
    repository::{Layout, PART},
};
use crate::{
    families::{described::DescribedFamilies, named_language},
    model::{DeviceId, Family, Knob, LoadError, Model, ModelFiles, NoProgram, Placement, Precision, Preset, Programs},
    nn::Threads,
    speech::TaskKind,
};

/// The family; and, where its files are known, the models of it that hear one language at one rate.
#[derive(Debug, PartialEq, Eq)]
pub struct Vosk {
    /// ISO 639-1 code; `None`: nobody said.
    language: Option<&'static str>,
    /// Hertz.
    rate: u32,
}

/// Most models.
const USUAL_RATE: u32 = 16_000;
/// What the library makes of the files in memory, in times of their size: 1.93 of 264 MB of a small model, and the search
/// beside it.
const GROWTH: u64 = 2;
const SEARCH: u64 = 64 << 20;

/// One for each language and rate.
static DESCRIBED: DescribedFamilies<Vosk> = DescribedFamilies::new();

// === impl Vosk ===

impl Vosk {
    /// Of files that nobody saw yet.
    pub const ANY: Self = Self { language: None, rate: USUAL_RATE };
}

impl Family for Vosk {
    fn name(&self) -> &'static str {
        "vosk"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Transcribe]
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        self.rate
    }

    fn hears_live(&self) -> bool {
        true
    }

    fn check_machine(&self, programs: &Programs, thoroughly: bool) -> Result<(), NoProgram> {
        library::check(programs, thoroughly)
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    /// As the library does it, on the CPU.
    fn dtypes(&self, _device: DeviceId) -> &'static [Precision] {
        &[Precision::F32]
    }

    fn presets(&self) -> &'static [Preset] {
        presets::PRESETS
    }

    fn recognises(&self, _config: &Value) -> bool {
        false
    }

    fn recognises_files(&self, listing: &[String]) -> bool {
        repository::recognises(listing)
    }

    fn marker(&self) -> Option<&'static str> {
        Some(repository::ACOUSTIC)
    }

    fn described(
        &self,
        name: &str,
        files: &ModelFiles,
        _programs: &Programs,
    ) -> Result<Option<&'static dyn Family>, LoadError> {
        let listing: Vec<String> = files.names(PART).map(str::to_owned).collect();
        if !repository::recognises(&listing) {
            return Ok(None);
        }
        let (language, rate) = (named_language::of_name(name), Layout::of(files)?.rate(files)?);
        let described = Self { language: language.or(self.language), rate };
        let is = |known: &Self| *known == described;
        Ok(Some(DESCRIBED.find_or_add(is, || Self { ..described })?))
    }

    fn files(&self, _part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(listing)
    }

    fn footprint(&self, files: &ModelFiles, _place: &Placement) -> Result<u64, LoadError> {
        let sizes = files.names(PART).map(|file| files.size(PART, file));
        Ok(SEARCH + GROWTH * sizes.sum::<Result<u64, LoadError>>()?)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let layout = Layout::of(files)?;
        layout.check(files)?;
        let (folder, api) = (layout.folder(files)?, library::api(&place.programs)?);
        let refused = || LoadError::Malformed {
            file: "the model".to_owned(),
            reason: "libvosk does not take it; what it misses stands in the error output of the server".to_owned(),
        };
        let model = api::Model::open(api, &folder).ok_or_else(refused)?;
        let threads = Threads::start("vosk", place.threads);
        let threads = threads.map_err(|error| LoadError::Process(format!("its threads do not start: {error}")))?;
        Ok(Box::new(Recogniser {
            model,
            rate: self.rate,
            language: self.language,
            takes_grammars: layout.takes_grammars(files),
            threads,
            max_batch: place.max_batch.max(1),
        }))
    }
}
