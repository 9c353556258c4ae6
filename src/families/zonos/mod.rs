//! Zonos: text in the voice of a recording, in the manner that one asks for, from Zyphra.
//!
//! A text becomes phonemes by the program espeak-ng (`text`). A language model (`net`: a transformer, or a hybrid with
//! state-space layers) reads them with what is said of the speaker and the manner, and writes the codes of nine books, 86
//! frames a second, of which the DAC makes sound (`nn::codec`). What it is told of a speaker comes from a network that hears a
//! recording (`speaker`).
//!
//! These know no request. An `utterance` makes sound of codes as they come; the `synthesizer` brings requests to them. Of a
//! text in several chunks each hears the one before, so that the voice stays.

mod config;
mod error;
mod load;
mod net;
mod options;
mod prefix;
mod repository;
mod speaker;
mod synthesizer;
mod text;
mod utterance;
mod voices;

use serde_json::Value;

use self::{
    config::ZonosConfig,
    repository::{CODEC, MODEL, SPEAKER},
};
use crate::{
    families::espeak_ng::PROGRAM,
    model::{
        Availability, DeviceId, Family, Knob, LoadError, Model, ModelFiles, OwnVoice, Placement, Precision, Preset,
        Program,
    },
    speech::TaskKind,
    text::ChunkLimits,
};

/// The family.
pub struct Zonos;

/// Of its sound, in hertz.
const RATE: u32 = 44_100;
/// The network that hears speakers was trained on recordings whose licence forbids commercial use.
const LICENCE: &str = "Apache-2.0; its speaker network was trained on VoxBlink2, which is CC-BY-NC-SA-4.0";

const PRESETS: &[Preset] = &[
    preset("Zyphra/Zonos-v0.1-transformer", &["zonos-transformer", "zonos"], TRANSFORMER, 1800),
    preset("Zyphra/Zonos-v0.1-hybrid", &["zonos-hybrid"], HYBRID, 1830),
];

const CODEC_SOURCE: (&str, &str) = (CODEC, "hf://descript/dac_44khz");
const SPEAKER_SOURCE: (&str, &str) = (SPEAKER, "hf://Zyphra/Zonos-v0.1-speaker-embedding");
const TRANSFORMER: &[(&str, &str)] = &[(MODEL, "hf://Zyphra/Zonos-v0.1-transformer"), CODEC_SOURCE, SPEAKER_SOURCE];
const HYBRID: &[(&str, &str)] = &[(MODEL, "hf://Zyphra/Zonos-v0.1-hybrid"), CODEC_SOURCE, SPEAKER_SOURCE];

const fn preset(
    name: &'static str,
    aliases: &'static [&'static str],
    parts: &'static [(&'static str, &'static str)],
    million_parameters: u32,
) -> Preset {
    Preset { name, aliases, parts, availability: Availability::Available, licence: LICENCE, million_parameters }
}

// === impl Zonos ===

impl Family for Zonos {
    fn name(&self) -> &'static str {
        "zonos"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize]
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        speaker::RATE
    }

    /// It was trained on 30 s at most, half of which is for what it said before; and of more than a few sentences it says
    /// parts in another order.
    fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits { target: 120, max: 200 }
    }

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        &[OwnVoice { name: voices::OWN, languages: &[], sample_rate: RATE }]
    }

    fn program(&self) -> Option<&'static Program> {
        Some(&PROGRAM)
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    fn prefix_option(&self) -> Option<&'static str> {
        Some(options::PREFIX)
    }

    /// Candle multiplies no matrices of bf16 on a CPU, where our own kernels keep weights so. Of eight bits are those of the
    /// language model alone.
    fn dtypes(&self, device: DeviceId) -> &'static [Precision] {
        match device {
            DeviceId::Cpu => &[Precision::F32, Precision::F16, Precision::Bf16, Precision::Q8],
            // One type is for all of it: in bf16 the codec's small errors would be heard.
            DeviceId::Cuda(_) | DeviceId::Metal => &[Precision::F16, Precision::F32, Precision::Bf16],
        }
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn recognises(&self, config: &Value) -> bool {
        ZonosConfig::is_in(config)
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        &[&[MODEL, CODEC]]
    }

    fn optional_parts(&self) -> &'static [&'static str] {
        &[SPEAKER]
    }

    fn files(&self, part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(part, listing)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        load::footprint(files, place)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        Ok(Box::new(load::load(files, place)?))
    }
}
