//! Higgs Audio v2: expressive speech and dialogue in the voices of recordings, from Boson AI.
//!
//! A language model (`net`: a Llama with a second feed-forward part for rows of sound) reads a conversation (`prompt`): what is to
//! be heard, recordings with what is said in them, and the text. It writes the codes of eight books, 25 frames a second, of which
//! a codec makes sound (`nn::codec`); the same codec hears the recordings.
//!
//! These know no request. An `utterance` makes sound of codes as they come; the `synthesizer` brings requests to them. Of a text
//! in several blocks each hears those before it, so that the voice and the mood stay.
//!
//! Published in two layouts, which the names of the tensors tell apart (`names`).

mod blocks;
mod config;
mod error;
mod load;
mod names;
mod net;
mod options;
mod prompt;
mod repository;
mod speakers;
mod synthesizer;
#[cfg(test)]
mod tests;
mod text;
mod utterance;
mod voices;
mod words;

use serde_json::Value;

use self::{
    config::HiggsConfig,
    repository::{CODEC, MODEL},
};
use crate::{
    model::{
        Availability, DeviceId, Family, Knob, LoadError, Model, ModelFiles, OwnVoice, Placement, Precision, Preset,
        RequestError, Terms,
    },
    speech::{SynthesizeOptions, TaskKind},
    text::ChunkLimits,
};

/// The family.
pub struct Higgs;

/// Of its sound, in hertz.
const RATE: u32 = 24_000;

/// The licence of the weights.
const LICENCE: &str = "boson-higgs-audio-2-community";
const TERMS: Terms = Terms {
    licence: LICENCE,
    notice: "Weights of Higgs Audio v2 are under the Boson Higgs Audio 2 Community License, on top of the Llama 3 licence of \
             Meta: free up to 100 000 users a year, with \"Built with Higgs Materials\" said where it is used, and never for \
             training other language models. Read it at https://huggingface.co/bosonai/higgs-audio-v2-generation-3B-base",
};

const PRESETS: &[Preset] = &[Preset {
    name: "bosonai/higgs-audio-v2-generation-3B-base",
    aliases: &["higgs", "higgs-audio-v2", "higgs-tts-2-3b-base"],
    parts: &[
        (MODEL, "hf://bosonai/higgs-audio-v2-generation-3B-base"),
        (CODEC, "hf://bosonai/higgs-audio-v2-tokenizer"),
    ],
    availability: Availability::Available,
    licence: LICENCE,
    million_parameters: 5_972,
}];

// === impl Higgs ===

impl Family for Higgs {
    fn name(&self) -> &'static str {
        "higgs"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize]
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        RATE
    }

    /// About a hundred words, as Boson's examples cut texts.
    fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits { target: 400, max: 600 }
    }

    fn tags(&self) -> fn(&str) -> bool {
        speakers::is_tag
    }

    fn follows_instructions(&self) -> bool {
        true
    }

    fn speaks_dialogue(&self) -> bool {
        true
    }

    fn needs_transcript(&self) -> bool {
        true
    }

    fn instead(&self, task: TaskKind) -> Option<&'static str> {
        let convert = "Higgs Audio has no voice conversion: its codes tell words and voice together. Chatterbox converts voices \
                       (chatterbox-vc, or any chatterbox)";
        (task == TaskKind::Convert).then_some(convert)
    }

    fn terms(&self) -> Option<&'static Terms> {
        Some(&TERMS)
    }

    fn check(&self, text: &str, options: &SynthesizeOptions) -> Result<(), RequestError> {
        speakers::check(text, options.voice.as_ref())
    }

    fn voices(&self) -> &'static [OwnVoice<'static>] {
        &[OwnVoice { name: voices::OWN, languages: &[], sample_rate: RATE }]
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    /// Candle multiplies no matrices of bf16 on a CPU, where our own kernels keep weights so. Of eight bits are those of the
    /// language model alone. On an accelerator bf16 is what it was trained in.
    fn dtypes(&self, device: DeviceId) -> &'static [Precision] {
        match device {
            DeviceId::Cpu => &[Precision::F32, Precision::F16, Precision::Bf16, Precision::Q8],
            DeviceId::Cuda(_) | DeviceId::Metal => &[Precision::Bf16, Precision::F16, Precision::F32],
        }
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn recognises(&self, config: &Value) -> bool {
        HiggsConfig::is_in(config)
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        &[&[MODEL, CODEC]]
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
