//! YuE: songs from lyrics, from HKUST and M-A-P.
//!
//! A language model of seven billion parameters sings a song section by section (`net::Stage1`): from the lyrics (`lyrics`,
//! `prompt`) it writes the first book of codes of two tracks, voice and instruments, one of each in turn, 50 a second. A second one
//! (`net::Stage2`) makes eight books of each, block by block. Of these `sound` makes both tracks and their mix.
//!
//! Both stages are there together, or in turns (`stages`).
//!
//! These know no request. A `song` goes from section to section, and leaves a `checkpoint` after each; `rendering` joins the sound of
//! them; the `synthesizer` brings requests to them.

mod checkpoint;
mod config;
mod load;
mod lyrics;
mod net;
mod options;
mod prompt;
mod references;
mod rendering;
mod repository;
mod sentencepiece;
mod song;
mod sound;
mod stages;
mod synthesizer;
#[cfg(test)]
mod tests;
mod tokens;
mod track;

use serde_json::Value;

use self::{
    lyrics::Lyrics,
    options::SongOptions,
    repository::{CODEC, MODEL, STAGE_2},
};
use crate::{
    model::{
        Availability, DeviceId, Family, Knob, LoadError, Model, ModelFiles, Placement, Precision, Preset, RequestError,
    },
    speech::{SpeechEstimate, SynthesizeOptions, TaskKind},
    text::LengthCheck,
};

/// The family.
pub struct Yue;

/// The licence of all weights.
const LICENCE: &str = "Apache-2.0";

const SECOND: (&str, &str) = (STAGE_2, "hf://m-a-p/YuE-s2-1B-general");
const SOUND: (&str, &str) = (CODEC, "hf://m-a-p/xcodec_mini_infer");

/// A first stage, with what all of them share.
macro_rules! preset {
    ($variant:literal, $($alias:literal),+) => {
        Preset {
            name: concat!("m-a-p/YuE-s1-7B-anneal-", $variant),
            aliases: &[$($alias),+],
            parts: &[(MODEL, concat!("hf://m-a-p/YuE-s1-7B-anneal-", $variant)), SECOND, SOUND],
            availability: Availability::Available,
            licence: LICENCE,
            million_parameters: 8_400,
        }
    };
}

const PRESETS: &[Preset] = &[
    preset!("en-cot", "yue", "yue-en", "yue-en-cot"),
    preset!("en-icl", "yue-en-icl"),
    preset!("zh-cot", "yue-zh", "yue-zh-cot"),
    preset!("zh-icl", "yue-zh-icl"),
    preset!("jp-kr-cot", "yue-jp-kr", "yue-jp-kr-cot"),
    preset!("jp-kr-icl", "yue-jp-kr-icl"),
];

// === impl Yue ===

impl Family for Yue {
    fn name(&self) -> &'static str {
        "yue"
    }

    fn tasks(&self) -> &'static [TaskKind] {
        &[TaskKind::Synthesize]
    }

    fn input_rate(&self, _task: TaskKind) -> u32 {
        references::RATE
    }

    /// Sections, and the lines in them, mean something.
    fn takes_text_whole(&self) -> bool {
        true
    }

    fn stems(&self) -> &'static [&'static str] {
        synthesizer::STEMS
    }

    fn is_long(&self, text: &str, options: &SynthesizeOptions) -> bool {
        match (Lyrics::parse(text), SongOptions::new(options, None)) {
            (Ok(lyrics), Ok(options)) => options.is_long(&lyrics),
            // It is refused at once.
            _ => false,
        }
    }

    fn estimate(&self, text: &str, options: &SynthesizeOptions) -> Option<SpeechEstimate> {
        let (lyrics, options) = (Lyrics::parse(text).ok()?, SongOptions::new(options, None).ok()?);
        let sections = options.sections(lyrics.sections.len());
        Some(SpeechEstimate { sections, seconds: options.seconds(sections), rate: rendering::RATE })
    }

    /// A song is as long as it is.
    fn length_check(&self) -> LengthCheck {
        LengthCheck::NONE
    }

    fn follows_instructions(&self) -> bool {
        true
    }

    /// A list of two recordings is a pair of tracks.
    fn speaks_dialogue(&self) -> bool {
        true
    }

    fn instead(&self, task: TaskKind) -> Option<&'static str> {
        let convert =
            "YuE converts no voices: it sings lyrics. Chatterbox converts voices (chatterbox-vc, or any chatterbox)";
        (task == TaskKind::Convert).then_some(convert)
    }

    fn check(&self, text: &str, options: &SynthesizeOptions) -> Result<(), RequestError> {
        SongOptions::new(options, None)?;
        Lyrics::parse(text)?;
        references::check(options.voice.as_ref())
    }

    fn knobs(&self) -> &'static [Knob] {
        options::KNOBS
    }

    /// Of eight bits are both language models. On an accelerator bf16 is what they were trained in.
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
        config::is_in(config)
    }

    fn layouts(&self) -> &'static [&'static [&'static str]] {
        &[&[MODEL, STAGE_2, CODEC]]
    }

    fn files(&self, part: &str, listing: &[String]) -> Result<Vec<String>, LoadError> {
        repository::files(part, listing)
    }

    /// A section is sung by the first stage, and then refined by the second.
    fn takes_turns(&self) -> bool {
        true
    }

    fn footprint(&self, files: &ModelFiles, place: &Placement) -> Result<u64, LoadError> {
        load::footprint(files, place)
    }

    fn load(&self, files: &ModelFiles, place: &Placement) -> Result<Box<dyn Model>, LoadError> {
        Ok(Box::new(load::load(files, place)?))
    }
}
