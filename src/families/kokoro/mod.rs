//! Kokoro: a small model of many voices, StyleTTS 2 in ONNX, and blends of them.
//!
//! A text becomes sounds by the program espeak-ng, in the alphabet that the model was trained with (`text`, `vocabulary`). A
//! voice says how they are to sound (`voices`), and a network makes sound of both (`speech`), which ONNX Runtime computes
//! (`families::onnx`).

mod language;
mod options;
mod repository;
mod speech;
#[cfg(test)]
mod tests;
mod text;
mod vocabulary;
mod voices;

use std::borrow::Cow;

use serde_json::Value;

use self::{
    repository::{KokoroFiles, MODEL, VOICES},
    speech::{RATE, SIGNATURE, Speech},
    text::FrontEnd,
    vocabulary::Vocabulary,
    voices::Voices,
};
use crate::{
    families::{
        described::DescribedFamilies,
        espeak_ng::PROGRAM,
        onnx::{self, Network, Speaker},
    },
    model::{
        Availability, DeviceId, Family, LoadError, Model, ModelFiles, NoProgram, OwnVoice, Placement, Precision,
        Preset, Program, Programs,
    },
    speech::TaskKind,
    text::{ChunkLimits, LengthCheck},
};

/// The family; and, where its files are known, one model of it.
#[derive(Debug)]
pub struct Kokoro {
    /// Its voices, the usual one first; empty where the files are not known.
    voices: &'static [OwnVoice<'static>],
}

const LICENCE: &str = "Apache-2.0";
const PRESETS: &[Preset] = &[
    Preset {
        name: "onnx-community/Kokoro-82M-v1.0-ONNX",
        aliases: &["kokoro"],
        parts: &[(MODEL, "hf://onnx-community/Kokoro-82M-v1.0-ONNX")],
        availability: Availability::Available,
        licence: LICENCE,
        million_parameters: 82,
    },
    Preset {
        name: "hexgrad/Kokoro-82M",
        aliases: &[],
        parts: &[(MODEL, "hf://hexgrad/Kokoro-82M")],
        availability: Availability::Unsupported(Cow::Borrowed(
            "its files are those of PyTorch; onnx-community/Kokoro-82M-v1.0-ONNX is the same model in ONNX",
        )),
        licence: LICENCE,
        million_parameters: 82,
    },
];

static DESCRIBED: DescribedFamilies<Kokoro> = DescribedFamilies::new();

// === impl Kokoro ===

impl Kokoro {
    /// Of files that nobody saw yet.
    pub const ANY: Self = Self { voices: &[] };

    /// The same for the same voices.
    fn of(voices: &Voices) -> Result<&'static Self, LoadError> {
        let usual = options::usual(voices.names().collect::<Vec<_>>().into_iter());
        let others = voices.names().filter(|name| Some(*name) != usual);
        let names: Vec<&str> = usual.into_iter().chain(others).collect();
        let voice = |name: &&str| {
            let languages: &'static [_] = Box::leak(Box::new([language::of_voice(name).tag.into()]));
            OwnVoice { name: String::leak((*name).to_owned()), languages, sample_rate: RATE }
        };
        DESCRIBED.find_or_add(
            |known| known.voices.iter().map(|voice| voice.name).eq(names.iter().copied()),
            || Self { voices: Vec::leak(names.iter().map(voice).collect()) },
        )
    }
}

impl Family for Kokoro {
    fn name(&self) -> &'static str {
        "kokoro"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize]
    }

    /// Of a short text it says the beginning too fast, and more than 510 symbols it does not read.
    fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits { target: 250, max: 400 }
    }

    /// How long each sound lasts is known before the first is made.
    fn length_check(&self) -> LengthCheck {
        LengthCheck::NONE
    }

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        self.voices
    }

    fn has_voice(&self, name: &str) -> Option<bool> {
        let own = |name: &str| self.voices.iter().any(|voice| voice.name == name);
        // What is wrong with a blend the model says.
        (!self.voices.is_empty())
            .then(|| options::blend(name).map_or(true, |parts| parts.iter().all(|(name, _)| own(name))))
    }

    fn program(&self) -> Option<&'static Program> {
        Some(&PROGRAM)
    }

    fn check_machine(&self, programs: &Programs, thoroughly: bool) -> Result<(), NoProgram> {
        onnx::check_library(programs, thoroughly)
    }

    fn dtypes(&self, _device: DeviceId) -> &'static [Precision] {
        onnx::DTYPES
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn recognises(&self, config: &Value) -> bool {
        config["model_type"] == "style_text_to_speech_2"
    }

    fn recognises_files(&self, listing: &[String]) -> bool {
        repository::recognises(listing)
    }

    fn described(
        &self,
        _name: &str,
        files: &ModelFiles,
        _programs: &Programs,
    ) -> Result<Option<&'static dyn Family>, LoadError> {
        let listing: Vec<String> = files.names(MODEL).map(str::to_owned).collect();
        let own = files.has_part(VOICES)
            || self.recognises_files(&listing)
            || files
                .optional_json(MODEL, "config.json")
                .is_ok_and(|config| config.is_some_and(|it| self.recognises(&it)));
        match own {
            true => Ok(Some(Self::of(&voices(&KokoroFiles::of(files)?, files)?)?)),
            false => Ok(None),
        }
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        &[&[MODEL], &[MODEL, VOICES]]
    }

    fn files(&self, part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(part, listing)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        let found = KokoroFiles::of(files)?;
        let voices = found.voices.iter().map(|(part, file)| files.size(part, file));
        let voices: u64 = voices.sum::<Result<u64, LoadError>>()?;
        Ok(onnx::footprint(files, MODEL, &found.network, place)?.saturating_add(voices))
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let program = place.programs.survey(&PROGRAM)?;
        let found = KokoroFiles::of(files)?;
        let front_end = FrontEnd::new(program, vocabulary(&found, files)?);
        let voices = voices(&found, files)?;
        let network = Network::open(&found.network, &files.open(MODEL, &found.network)?, &SIGNATURE, place)?;
        Ok(Box::new(Speaker { voice: Speech { network, front_end, voices }, max_batch: place.max_batch }))
    }
}

fn vocabulary(found: &KokoroFiles, files: &ModelFiles) -> Result<Vocabulary, LoadError> {
    for table in &found.tables {
        if let Some(vocabulary) = Vocabulary::read(table, &files.open(MODEL, table)?)? {
            return Ok(vocabulary);
        }
    }
    Ok(Vocabulary::default())
}

fn voices(found: &KokoroFiles, files: &ModelFiles) -> Result<Voices, LoadError> {
    let mut voices = Voices::default();
    for (part, file) in &found.voices {
        voices.add(file, &files.open(part, file)?)?;
    }
    match voices.is_empty() {
        false => Ok(voices),
        true => Err(LoadError::Missing("a voice".to_owned())),
    }
}
