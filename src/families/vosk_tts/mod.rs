//! Vosk TTS: Russian voices of Alpha Cephei, VITS2 in ONNX, fast on any processor.
//!
//! A text becomes sounds by a dictionary and, for what that does not have, by rules (`dictionary`, `letters`), and numbers by
//! the model's own table (`config`, `text`). A small BERT says of each word what it means where it stands (`bert`), and a
//! network makes sound of both, a sentence at a time (`voice`). ONNX Runtime computes both (`families::onnx`).

mod bert;
mod config;
mod dictionary;
mod letters;
mod options;
mod presets;
mod repository;
#[cfg(test)]
mod tests;
mod text;
mod voice;

use std::borrow::Cow;

use serde_json::Value;

use self::{
    bert::Bert,
    config::VoiceConfig,
    dictionary::Dictionary,
    repository::{CONFIG, DICTIONARY, NETWORK, PART},
    text::FrontEnd,
    voice::{SIGNATURE, SPEAKER, Voice},
};
use crate::{
    families::{
        described::DescribedFamilies,
        onnx::{self, Network, Speaker},
    },
    model::{
        DeviceId, Family, Knob, LoadError, Model, ModelFiles, NoProgram, OwnVoice, Placement, Precision, Preset,
        Programs,
    },
    speech::TaskKind,
    text::{ChunkLimits, LengthCheck, Script},
};

/// The rules are those of one language.
const LANGUAGES: &[Cow<'static, str>] = &[Cow::Borrowed("ru")];
/// Of a model that says it nowhere, and whose network does not tell.
const USUAL_SPEAKERS: u32 = 1;

/// The family; and, where its files are known, one model of it.
#[derive(Debug)]
pub struct VoskTts {
    /// Its speakers, the usual one first; empty where the files are not known.
    voices: &'static [OwnVoice<'static>],
}

static DESCRIBED: DescribedFamilies<VoskTts> = DescribedFamilies::new();

// === impl VoskTts ===

impl VoskTts {
    /// Of files that nobody saw yet.
    pub const ANY: Self = Self { voices: &[] };

    /// The same for the same speakers.
    fn of(config: &VoiceConfig) -> Result<&'static Self, LoadError> {
        let (names, sample_rate) = (config.speakers(), config.sample_rate());
        let same = |(voice, (name, _)): (&OwnVoice<'_>, &(String, i64))| {
            voice.name == name && voice.sample_rate == sample_rate
        };
        let is = |known: &Self| known.voices.len() == names.len() && known.voices.iter().zip(&names).all(same);
        let voice = |(name, _): &(String, i64)| OwnVoice {
            name: String::leak(name.clone()),
            languages: LANGUAGES,
            sample_rate,
        };
        DESCRIBED.find_or_add(is, || Self { voices: Vec::leak(names.iter().map(voice).collect()) })
    }
}

impl Family for VoskTts {
    fn name(&self) -> &'static str {
        "vosk-tts"
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

    fn scripts(&self) -> &'static [Script] {
        &[Script::Cyrillic]
    }

    fn speaks(&self) -> Option<&str> {
        Some("ru")
    }

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        self.voices
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

    fn recognises(&self, config: &Value) -> bool {
        VoiceConfig::is_in(config)
    }

    fn described(
        &self,
        _name: &str,
        files: &ModelFiles,
        _programs: &Programs,
    ) -> Result<Option<&'static dyn Family>, LoadError> {
        let is = |config: &Value| VoiceConfig::is_in(config);
        let own = files.has(PART, DICTIONARY)
            && files.optional_json(PART, CONFIG).is_ok_and(|config| config.as_ref().is_some_and(is));
        if own { Ok(Some(Self::of(&config(files)?)?)) } else { Ok(None) }
    }

    fn files(&self, _part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(listing)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        let mut bytes = onnx::footprint(files, PART, NETWORK, place)?;
        if files.has(PART, repository::BERT) {
            bytes = bytes.saturating_add(onnx::footprint(files, PART, repository::BERT, place)?);
        }
        // The lines of the dictionary, and while they are put into order as much again.
        Ok(bytes.saturating_add(files.size(PART, DICTIONARY)?.saturating_mul(2)))
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        let config = config(files)?;
        let network = Network::open(NETWORK, &files.open(PART, NETWORK)?, &SIGNATURE, place)?;
        let bert = Bert::load(files, place, network.takes(voice::BERT))?;
        config.check_bert(bert.is_some())?;
        let dictionary = Dictionary::read(files.open(PART, DICTIONARY)?, |phone| config.knows(phone))?;
        let front_end = FrontEnd { config, dictionary };
        Ok(Box::new(Speaker { voice: Voice { network, bert, front_end }, max_batch: place.max_batch }))
    }
}

/// What is known of a voice, checked.
fn config(files: &ModelFiles) -> Result<VoiceConfig, LoadError> {
    let mut config: VoiceConfig = files.json(PART, CONFIG)?;
    if config.num_speakers.is_none() {
        let rows = onnx::choices(NETWORK, &files.open(PART, NETWORK)?, SPEAKER)?;
        config.num_speakers = Some(rows.unwrap_or(USUAL_SPEAKERS));
    }
    config.check()?;
    Ok(config)
}
