//! Chatterbox: text in the voice of a recording, and speech turned into another voice, from Resemble AI.
//!
//! A language model (`t3`) writes speech tokens, 25 a second, for a text and a voice. S3Gen makes sound of them in the
//! voice of a reference: flow matching gives a mel (`flow`), a vocoder the samples (`hift`). What it has to know of a
//! recording comes from three networks that listen: tokens (`s3_tokenizer`), a speaker for S3Gen (`speaker_encoder`),
//! and one for T3 (`voice_encoder`). Voice conversion is S3Gen on the tokens of a recording. Where somebody gives the network for
//! it, all sound is marked (`watermark`).
//!
//! These know no request. A `voices::Voice` is what they found in a recording, kept for the next request; a
//! `decoder::Decoder` makes sound of tokens as they come; the `speaker` brings requests to them.
//!
//! Published in variants, which the names of the files and the tensors tell apart: English, multilingual, Turbo and Nano
//! (a GPT-2, and flow in two steps).

mod conditionals;
mod converter;
mod decoder;
mod error;
mod flow;
mod front_end;
mod hift;
mod load;
mod options;
mod prompt_mel;
mod repository;
mod s3_tokenizer;
mod speaker;
mod speaker_encoder;
mod t3;

mod text;
mod utterance;
mod voice_encoder;
mod voices;
mod watermark;

use serde_json::Value;

use self::{
    prompt_mel::RATE,
    repository::{MODEL, MULTILINGUAL, Repository, VOICE_CONVERSION, WATERMARK},
};
use crate::{
    model::{
        Availability, DeviceId, Family, Knob, LoadError, Model, ModelFiles, OwnVoice, Placement, Precision, Preset,
    },
    speech::TaskKind,
    text::ChunkLimits,
};

/// The family.
pub struct Chatterbox;

const PRESETS: &[Preset] = &[
    preset("ResembleAI/chatterbox", &["chatterbox"], &[(MODEL, "hf://ResembleAI/chatterbox")], 798),
    preset(
        "ResembleAI/chatterbox-multilingual",
        &["chatterbox-multilingual"],
        &[(MULTILINGUAL, "hf://ResembleAI/chatterbox")],
        799,
    ),
    preset("ResembleAI/chatterbox-vc", &["chatterbox-vc"], &[(VOICE_CONVERSION, "hf://ResembleAI/chatterbox")], 264),
    preset("ResembleAI/chatterbox-turbo", &["chatterbox-turbo"], &[(MODEL, "hf://ResembleAI/chatterbox-turbo")], 615),
    preset("ResembleAI/chatterbox-nano", &["chatterbox-nano"], &[(MODEL, "hf://ResembleAI/chatterbox-nano")], 375),
];

const fn preset(
    name: &'static str,
    aliases: &'static [&'static str],
    parts: &'static [(&'static str, &'static str)],
    million_parameters: u32,
) -> Preset {
    Preset { name, aliases, parts, availability: Availability::Available, licence: "MIT", million_parameters }
}

// === impl Chatterbox ===

impl Family for Chatterbox {
    fn name(&self) -> &'static str {
        "chatterbox"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize, TaskKind::Convert]
    }

    fn tasks_of(&self, parts: &[&str]) -> &'static [TaskKind] {
        if parts.contains(&VOICE_CONVERSION) { &[TaskKind::Convert] } else { self.tasks() }
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        RATE
    }

    /// It drifts and stumbles in texts of more than about 300 characters.
    fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits { target: 200, max: 280 }
    }

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        &[OwnVoice { name: voices::OWN, languages: &[], sample_rate: RATE }]
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    /// Candle multiplies no matrices of bf16 on a CPU, where our own kernels keep weights so. Of eight bits are those of
    /// T3 alone.
    fn dtypes(&self, device: DeviceId) -> &'static [Precision] {
        match device {
            DeviceId::Cpu => &[Precision::F32, Precision::F16, Precision::Bf16, Precision::Q8],
            // One type is for all of it: in bf16 the vocoder's pitch, which adds up to phase, would be heard.
            DeviceId::Cuda(_) | DeviceId::Metal => &[Precision::F16, Precision::F32, Precision::Bf16],
        }
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    /// The published repositories have no `config.json`.
    fn recognises(&self, config: &Value) -> bool {
        config["model_type"] == "chatterbox"
    }

    fn recognises_files(&self, listing: &[String]) -> bool {
        Repository::of(MODEL, listing).is_ok()
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        &[&[MODEL], &[MULTILINGUAL], &[VOICE_CONVERSION]]
    }

    fn optional_parts(&self) -> &'static [&'static str] {
        &[WATERMARK]
    }

    fn watermark(&self, files: &ModelFiles) -> Option<&'static str> {
        files.has_part(WATERMARK).then_some(watermark::NAME)
    }

    fn files(&self, part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        if part == WATERMARK {
            return repository::watermark(listing).map(|file| vec![file]);
        }
        Repository::of(part, listing).map(Repository::into_files)
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        load::footprint(&Repository::in_files(files)?, files, place)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        Ok(Box::new(load::load(&Repository::in_files(files)?, files, place)?))
    }
}
