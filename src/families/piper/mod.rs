//! Piper: small voices of one language each, VITS in ONNX, fast on any processor.
//!
//! A text becomes sounds by the program espeak-ng, and numbers by the voice's own table (`text`); a network makes sound of
//! them, a sentence at a time (`voice`), which ONNX Runtime computes (`families::onnx`).

mod config;
mod options;
mod repository;
mod text;
mod voice;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::{
    config::{PhonemeType, VoiceConfig},
    repository::{CONFIG, MODEL},
    text::FrontEnd,
    voice::{SIGNATURE, Voice},
};
use crate::{
    families::{
        described::DescribedFamilies,
        espeak_ng::{EspeakPhonemizer, PROGRAM},
        onnx::{self, Network, Speaker},
    },
    model::{
        Availability, DeviceId, Family, Knob, LoadError, Model, ModelFiles, NoProgram, OwnVoice, Placement, Precision,
        Preset, Program, Programs,
    },
    speech::TaskKind,
    text::{ChunkLimits, LengthCheck},
};

/// The family; and, where its files are known, one model of it.
#[derive(Debug)]
pub struct Piper {
    /// Its speakers, the usual one first; empty where the files are not known.
    voices: &'static [OwnVoice<'static>],
    /// Whether it reads sounds, which a program makes of letters.
    reads_sounds: bool,
}

const LICENCE: &str = "MIT; trained on LJ Speech, which is in the public domain";
const PRESETS: &[Preset] = &[Preset {
    name: "rhasspy/en_US-ljspeech-medium",
    aliases: &["piper"],
    parts: &[
        (
            MODEL,
            concat!(
                "https://huggingface.co/rhasspy/piper-voices/resolve/main/en/en_US/ljspeech/medium/",
                "en_US-ljspeech-medium.onnx"
            ),
        ),
        (
            CONFIG,
            concat!(
                "https://huggingface.co/rhasspy/piper-voices/resolve/main/en/en_US/ljspeech/medium/",
                "en_US-ljspeech-medium.onnx.json"
            ),
        ),
    ],
    availability: Availability::Available,
    licence: LICENCE,
    million_parameters: 16,
}];

static DESCRIBED: DescribedFamilies<Piper> = DescribedFamilies::new();

// === impl Piper ===

impl Piper {
    /// Of files that nobody saw yet.
    pub const ANY: Self = Self { voices: &[], reads_sounds: true };

    /// The same for the same speakers.
    fn of(config: &VoiceConfig) -> Result<&'static Self, LoadError> {
        let (names, language) = (config.speakers(), config.language());
        let (sample_rate, reads_sounds) = (config.audio.sample_rate, config.phoneme_type == PhonemeType::Espeak);
        let same = |(voice, (name, _)): (&OwnVoice<'_>, &(String, i64))| {
            voice.name == name && voice.languages[0] == language && voice.sample_rate == sample_rate
        };
        let is = |piper: &Self| {
            let alike = piper.voices.len() == names.len() && piper.reads_sounds == reads_sounds;
            alike && piper.voices.iter().zip(&names).all(same)
        };
        let make = || {
            let languages: &'static [_] = Box::leak(Box::new([language.clone().into()]));
            let voice =
                |(name, _): &(String, i64)| OwnVoice { name: String::leak(name.clone()), languages, sample_rate };
            Self { voices: Vec::leak(names.iter().map(voice).collect()), reads_sounds }
        };
        DESCRIBED.find_or_add(is, make)
    }
}

impl Family for Piper {
    fn name(&self) -> &'static str {
        "piper"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize]
    }

    /// It says a sentence at a time, however many there are.
    fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits { target: 300, max: 500 }
    }

    /// How long each sound lasts is known before the first is made.
    fn length_check(&self) -> LengthCheck {
        LengthCheck::NONE
    }

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        self.voices
    }

    fn program(&self) -> Option<&'static Program> {
        self.reads_sounds.then_some(&PROGRAM)
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
        PRESETS
    }

    fn recognises(&self, config: &Value) -> bool {
        VoiceConfig::is_in(config)
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
        if !files.has_part(CONFIG) && !self.recognises_files(&listing) {
            return Ok(None);
        }
        Ok(Some(Self::of(&config(files)?)?))
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        &[&[MODEL], &[MODEL, CONFIG]]
    }

    fn files(&self, part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(part, listing)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        let (network, ..) = repository::names(files)?;
        onnx::footprint(files, MODEL, &network, place)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let (file, ..) = repository::names(files)?;
        let config = config(files)?;
        let phonemizer = match config.phoneme_type {
            PhonemeType::Espeak => Some(EspeakPhonemizer::new(place.programs.survey(&PROGRAM)?)),
            PhonemeType::Text | PhonemeType::Other(_) => None,
        };
        let network = Network::open(&file, &files.open(MODEL, &file)?, &SIGNATURE, place)?;
        voice::check(&network, &config, &file)?;
        let front_end = FrontEnd::new(config, phonemizer)?;
        Ok(Box::new(Speaker { voice: Voice { network, front_end }, max_batch: place.max_batch }))
    }
}

/// What is known of a voice.
fn config(files: &ModelFiles) -> Result<VoiceConfig, LoadError> {
    let (_, part, file) = repository::names(files)?;
    let config: VoiceConfig = files.json(part, &file)?;
    config.check(&file)?;
    Ok(config)
}
